//! The decision rule.

use clap::Args;
use roomcast_forecast::decisions::promise::{Method, Promise, Scope};
use roomcast_forecast::model::rule::Rule;

use super::values::{cost, share};

/// The rule by which probabilities become states.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Decision rule")]
pub struct RuleArgs {
    /// Lowest probability of an hour that is called occupied; 0.5 without any rule
    #[arg(long, value_name = "P", value_parser = share, conflicts_with_all = ["cost_miss", "max_missed"])]
    threshold: Option<f64>,
    /// Cost of an occupied hour that is called vacant (a cold meeting), in the unit of --cost-waste
    #[arg(long, value_name = "COST", value_parser = cost, requires = "cost_waste", conflicts_with = "max_missed")]
    cost_miss: Option<f64>,
    /// Cost of a vacant hour that is called occupied (an empty room is heated), in the unit of --cost-miss
    #[arg(long, value_name = "COST", value_parser = cost, requires = "cost_miss")]
    cost_waste: Option<f64>,
    /// Highest share of the occupied hours that may be called vacant, such as 5% or 0.05. A schedule takes
    /// its threshold from forecasts of the last 28 days, a forecast from hours held back in training: the two differ
    #[arg(long, value_name = "SHARE", value_parser = share)]
    max_missed: Option<f64>,
}

impl RuleArgs {
    /// Returns the rule of the arguments, and a threshold of 0.5 without any.
    pub fn rule(&self) -> Rule {
        match (self.threshold, self.cost_miss, self.cost_waste, self.max_missed) {
            (Some(threshold), ..) => Rule::Fixed(threshold),
            (_, Some(miss), Some(waste), _) => Rule::Cost { miss, waste },
            (.., Some(share)) => Rule::MostMissed(share),
            _ => Rule::Fixed(0.5),
        }
    }

    /// Returns the way to the threshold of a schedule: a promise, unless there is another rule.
    pub fn method(&self, scope: Scope) -> Method {
        match self.rule() {
            Rule::MostMissed(max_missed) => Method::Promise(Promise { max_missed, scope }),
            _ if self.threshold.is_none() && self.cost_miss.is_none() => {
                Method::Promise(Promise { scope, ..Promise::default() })
            }
            rule => Method::Rule(rule),
        }
    }
}
