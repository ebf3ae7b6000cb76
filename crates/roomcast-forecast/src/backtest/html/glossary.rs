//! The terms of the report explained.

use maud::{Markup, html};

/// Terms and their explanations.
const ENTRIES: [(&str, &str); 9] = [
    (
        "Forecast hour",
        "One room, one origin, one of the 24 hours after it. Models are fitted on readings before their refit, \
         forecasts made from readings before their origin, nothing later. An hour is occupied if the sensor \
         saw motion in it.",
    ),
    ("Log loss", "The mean of −ln of the probability given to what came. Being surely wrong costs most. 0 is perfect."),
    ("Brier score", "The mean squared distance between probability and what came. 0 is perfect."),
    (
        "Balanced accuracy, F1, MCC",
        "Scores of the plain states that do not reward saying vacant all the time, as accuracy does where rooms \
         are mostly empty.",
    ),
    ("PR-AUC, ROC-AUC", "How well the probabilities rank hours, whatever the threshold. PR-AUC is average precision."),
    (
        "Calibration error",
        "The mean gap between what was said and what came, in ten bins of equally many hours. Most hours are nights with a \
         chance near zero, on which every forecaster is right: the column beside it leaves out hours given less than \
         10 %.",
    ),
    (
        "Intervals",
        "Whole days are drawn with replacement 1,000 times, the same for model and rule. They say what other days \
         of the same kind might have shown, not what another building would.",
    ),
    (
        "Silent sensor",
        "A sensor without motion for far longer than usual while the building lives. Its hours count as vacant here, \
         as nothing else is known; they are also scored apart.",
    ),
    (
        "The simple rules",
        "Their probabilities are their own record: how often that room was occupied after that same answer, on days \
         of the same type, before the origin. The hour-of-week rate is the share of occupied hours at that weekday \
         and hour, recent weeks weighing more.",
    ),
];

/// Returns the section that explains the terms.
pub fn section() -> Markup {
    html! {
        section {
            h2 { "How to read this" }
            dl.definitions { @for (term, words) in ENTRIES { div { dt { (term) } dd { (words) } } } }
        }
    }
}
