//! How the thread waits between two turns, and the second one that stands in for it.
//!
//! A processor that does something long in the kernel runs no thread meanwhile, however urgent, and gives none away that has slept
//! on it: to delete 100,000 routes takes 40 ms. So there are two threads, each with half of the processors. The first takes the turns, and
//! before it waits it winds a timer of the second's, which goes off when the first is late. That one takes turns until the
//! first is back. At rest it never runs.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bugle_inject::Injector;
use bugle_rib::fib::FibOp;
use bugle_types::Time;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::unistd::Pid;
use smallvec::SmallVec;

use super::receive::Rooms;
use super::turn::{Ends, Turns, Waiting, Woken};
use crate::clock::Clock;
use crate::poller::Waker;
use crate::priority::become_realtime;

/// The second thread takes a turn that is so late.
const TOO_LATE: Duration = Duration::from_millis(2);

/// Takes turns until nobody is left to give orders.
pub(super) fn run(ends: Ends, remover: &Arc<Mutex<Injector>>) {
    let (clock, wake) = (ends.clock, ends.wake.clone());
    let realtime = become_realtime();
    let turns = Arc::new(Mutex::new(Turns::new(ends)));
    lock(&turns).set_realtime(realtime);
    let stand_in = StandIn::start(&turns, remover, clock);
    let mut rooms = Rooms::new();
    let mut woken = Ok(Woken { by_orders: true, by_packets: true });
    loop {
        let waiting = {
            let mut turns = lock(&turns);
            let woken = woken.unwrap_or_else(|error| look_around(&mut turns, error));
            turns.turn(woken, &mut rooms);
            if turns.has_ended() {
                break;
            }
            if let Some(stand_in) = &stand_in {
                stand_in.expect(turns.due(), clock.now());
            }
            turns.waiting()
        };
        remove(&turns, remover);
        woken = wait(&waiting, &wake, clock.now());
    }
    if let Some(stand_in) = stand_in {
        stand_in.expect(Some(Time::ZERO), Time::ZERO);
    }
}

/// Removes what is to be removed from the kernel, which may let nobody change its routes for a while: nobody waits for that meanwhile.
fn remove(turns: &Mutex<Turns>, remover: &Mutex<Injector>) {
    loop {
        let mut ids = lock(turns).begin_removal();
        if ids.is_empty() {
            return;
        }
        let mut remover = lock(remover);
        for &id in &ids {
            remover.submit(FibOp::DelNexthop { id });
        }
        if remover.run(ids.len()).is_err() {
            // The loop sees to it, as it does without this.
            remover.forget();
            ids.clear();
        }
        while let Some((FibOp::DelNexthop { id }, _)) = remover.poll_failure() {
            ids.retain(|removed| *removed != id);
        }
        drop(remover);
        lock(turns).removed(ids);
    }
}

/// Waiting failed, so there may be anything.
fn look_around(turns: &mut Turns, error: Errno) -> Woken {
    if error != Errno::EINTR {
        turns.cannot_wait(error);
    }
    Woken { by_orders: true, by_packets: true }
}

/// Waits for packets that cannot wait, for orders, and for the time.
fn wait(waiting: &Waiting, wake: &Waker, now: Time) -> Result<Woken, Errno> {
    let mut fds: SmallVec<[PollFd<'_>; 8]> = SmallVec::new();
    fds.push(PollFd::new(wake.as_fd(), PollFlags::POLLIN));
    fds.extend(waiting.sockets.iter().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)));
    let timeout = waiting.due.map(|due| TimeSpec::from_duration(due.since(now)));
    let ready = ppoll(&mut fds, timeout, None)?;
    let by_orders = fds.first().is_some_and(|fd| fd.any().unwrap_or(true));
    if by_orders {
        wake.clear();
    }
    Ok(Woken { by_orders, by_packets: ready > i32::from(by_orders) })
}

/// The second thread, as the first sees it.
struct StandIn {
    timer: Arc<TimerFd>,
}

impl StandIn {
    /// Starts the thread, and leaves half of the processors to it. `None` if there is only one, or something is not permitted: then the
    /// first does without.
    fn start(
        turns: &Arc<Mutex<Turns>>,
        remover: &Arc<Mutex<Injector>>,
        clock: Clock,
    ) -> Option<Self> {
        let [ours, its] = halves(&sched_getaffinity(Pid::from_raw(0)).ok()?)?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC).ok()?;
        let stand_in = Self { timer: Arc::new(timer) };
        let (timer, turns, remover) =
            (Arc::clone(&stand_in.timer), Arc::clone(turns), Arc::clone(remover));
        let run = move || {
            // It has the priority of the thread that started it.
            if sched_setaffinity(Pid::from_raw(0), &its).is_ok() {
                Self { timer }.run(&turns, &remover, clock);
            }
        };
        std::thread::Builder::new().name("bugle-bfd-2".to_owned()).spawn(run).ok()?;
        sched_setaffinity(Pid::from_raw(0), &ours).ok()?;
        Some(stand_in)
    }

    /// The next turn is due then.
    fn expect(&self, due: Option<Time>, now: Time) {
        self.wind(due.map(|due| due.since(now) + TOO_LATE));
    }

    fn wind(&self, wait: Option<Duration>) {
        // The timer is ours and the times are in range.
        let _ = match wait {
            Some(wait) => {
                let wait = Expiration::OneShot(TimeSpec::from_duration(wait));
                self.timer.set(wait, TimerSetTimeFlags::empty())
            }
            None => self.timer.unset(),
        };
    }

    fn run(&self, turns: &Mutex<Turns>, remover: &Mutex<Injector>, clock: Clock) {
        let mut rooms = Rooms::new();
        while self.timer.wait().is_ok() {
            {
                let mut turns = lock(turns);
                if turns.has_ended() {
                    return;
                }
                if turns.due().is_none_or(|due| due > clock.now()) {
                    // The first was quicker.
                    self.expect(turns.due(), clock.now());
                    continue;
                }
                turns.take_over(&mut rooms);
                let now = clock.now();
                self.wind(turns.due().map(|due| due.since(now).max(Duration::from_nanos(1))));
            }
            remove(turns, remover);
        }
    }
}

/// The processors in two halves; `None` if there is only one.
fn halves(all: &CpuSet) -> Option<[CpuSet; 2]> {
    let mut halves = [CpuSet::new(), CpuSet::new()];
    let permitted = (0..CpuSet::count()).filter(|cpu| all.is_set(*cpu).unwrap_or(false));
    let mut count = 0;
    for cpu in permitted {
        halves.get_mut(count % 2)?.set(cpu).ok()?;
        count += 1;
    }
    (count > 1).then_some(halves)
}

/// Nobody panics while holding it; if somebody did, what it guards would still be whole.
fn lock<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use bugle_bfd::{Client, Hop, Path, Profile, Settings};
    use bugle_types::{IfIndex, VrfId};

    use super::*;
    use crate::bfd::{Order, Progress};
    use crate::counters::Counters;

    #[test]
    fn turns_that_the_first_thread_misses_are_taken_by_the_second() {
        let clock = Clock::start();
        let ((to_obey, orders), (news, _told)) = (sync_channel(1), sync_channel(8));
        let ends = Ends {
            clock,
            seed: 1,
            counters: Arc::new(Counters::default()),
            orders,
            news,
            wake: Waker::new().unwrap(),
            told: Waker::new().unwrap(),
            progress: Arc::new(Progress::default()),
        };
        let second = Duration::from_secs(1);
        let path = Path {
            vrf: VrfId::DEFAULT,
            hop: Hop::Single(IfIndex(1)),
            remote: [127, 0, 0, 2].into(),
        };
        let settings = Box::new(Settings {
            local: [127, 0, 0, 1].into(),
            point_to_point: false,
            min_ttl: 255,
            profile: Profile::new(second, second, 3).unwrap(),
        });
        let request = Order::Request { client: Client::Static, path, settings, device: None };
        assert!(to_obey.send(request).is_ok());
        let turns = Arc::new(Mutex::new(Turns::new(ends)));
        let remover = Arc::new(Mutex::new(Injector::open().unwrap()));
        let Some(stand_in) = StandIn::start(&turns, &remover, clock) else {
            eprintln!("skipped: there is one processor only");
            return;
        };
        // The first takes one turn, and is never seen again.
        {
            let mut turns = lock(&turns);
            turns.turn(Woken { by_orders: true, by_packets: true }, &mut Rooms::new());
            stand_in.expect(turns.due(), clock.now());
        }
        let before = lock(&turns).packets_sent();
        let deadline = clock.now() + second * 30;
        while lock(&turns).packets_sent() < before + 2 {
            assert!(clock.now() < deadline);
            std::thread::yield_now();
        }
        assert!(lock(&turns).takeovers > 0);
    }

    #[test]
    fn each_thread_has_half_of_the_processors_if_there_are_two() {
        let set = |cpus: &[usize]| {
            let mut set = CpuSet::new();
            for cpu in cpus {
                set.set(*cpu).unwrap();
            }
            set
        };
        assert_eq!(halves(&set(&[])), None);
        assert_eq!(halves(&set(&[3])), None);
        assert_eq!(halves(&set(&[2, 3])), Some([set(&[2]), set(&[3])]));
        assert_eq!(halves(&set(&[0, 1, 4, 5, 9])), Some([set(&[0, 4, 9]), set(&[1, 5])]));
    }
}
