//! Which threads run first when the machine is busy: BFD before everything, the loop before all that has the usual priority.

use nix::errno::Errno;
use rustix::process::{getpriority_process, setpriority_process};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Before everything that has no real-time priority, and after what the administrator thinks more urgent.
const REALTIME: u8 = 50;
/// How nice the loop is: woken among threads of the usual niceness, such as virtual processors, it mostly runs at once rather than
/// after their turns of 3 ms, if they are of the same control group. What it has to calculate is short, but not so short that it
/// should be real-time.
const NICENESS: i32 = -15;
/// How late timers of a thread without real-time priority may be, in nanoseconds; the kernel's default is 50 us.
const TIMER_SLACK: u64 = 1_000;

/// Has the calling thread run before all others, if that is permitted; else at least be woken at the time that it asks for.
pub(crate) fn become_realtime() -> Result<(), String> {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let priority = ThreadPriority::Crossplatform(REALTIME.try_into()?);
    set_thread_priority_and_policy(thread_native_id(), priority, policy).map_err(|error| {
        // It does without.
        let _ = nix::sys::prctl::set_timerslack(TIMER_SLACK);
        match error {
            thread_priority::Error::OS(errno) => Errno::from_raw(errno).desc().to_owned(),
            thread_priority::Error::Priority(why) | thread_priority::Error::Ffi(why) => {
                why.to_owned()
            }
            thread_priority::Error::PriorityNotInRange(range) => format!("it must be {range:?}"),
        }
    })
}

/// Has the calling thread run before those of the usual priority, if that is permitted. If the administrator has given the process
/// another than the usual one, it stays.
pub(crate) fn become_urgent() {
    // For Linux the process that is meant is the thread.
    if getpriority_process(None) == Ok(0) {
        // It does without.
        let _ = setpriority_process(None, NICENESS);
    }
}

#[cfg(test)]
mod tests {
    use nix::unistd::geteuid;

    use super::*;

    /// What a thread's niceness is after it became urgent, having had this one.
    fn urgent(before: i32) -> i32 {
        let run = move || {
            setpriority_process(None, before).unwrap();
            become_urgent();
            getpriority_process(None).unwrap()
        };
        std::thread::Builder::new().spawn(run).unwrap().join().unwrap()
    }

    #[test]
    fn a_thread_of_the_usual_priority_becomes_urgent_if_that_is_permitted() {
        let niceness = urgent(0);
        assert!(niceness == NICENESS || !geteuid().is_root() && niceness == 0, "{niceness}");
    }

    #[test]
    fn what_the_administrator_has_chosen_stays() {
        assert_eq!(urgent(5), 5);
    }
}
