//! The Prometheus text format.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::model::Metric;

/// The content type of [`render`]'s result.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics as text.
pub(crate) fn render(metrics: Vec<Metric>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("bugle");
    registry.register_collector(Box::new(Snapshot(metrics)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Snapshot(Vec<Metric>);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for metric in &self.0 {
            let kind = if metric.counter { MetricType::Counter } else { MetricType::Gauge };
            let mut family = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            for (labels, value) in &metric.samples {
                if metric.counter {
                    ConstCounter::new(*value).encode(family.encode_family(labels)?)?;
                } else {
                    let value = i64::try_from(*value).unwrap_or(i64::MAX);
                    ConstGauge::new(value).encode(family.encode_family(labels)?)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_gauges_are_told_apart_and_labels_escaped() {
        let metrics = vec![
            Metric {
                name: "spf_runs",
                help: "Route computations",
                counter: true,
                samples: vec![(vec![("vrf", "default".to_owned())], 7)],
            },
            Metric {
                name: "neighbors",
                help: "Neighbours",
                counter: false,
                samples: vec![
                    (vec![("vrf", "a\"b".to_owned()), ("state", "Full".to_owned())], 2),
                    (vec![], 3),
                ],
            },
        ];
        insta::assert_snapshot!(render(metrics).unwrap());
    }
}
