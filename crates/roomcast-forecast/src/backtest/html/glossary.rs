//! The terms of the report explained.

use maud::{Markup, html};

/// Terms and their explanations.
const ENTRIES: [(&str, &str); 10] = [
    (
        "Forecast hour",
        "One room, one origin, one of the 24 hours after it. Models are fitted on readings before their refit. \
         Forecasts use readings before their origin. An hour is occupied if the sensor saw motion in it.",
    ),
    ("Log loss", "The mean of −ln of the probability given to the outcome. Confident errors cost most. 0 is perfect."),
    ("Brier score", "The mean squared difference between probability and outcome. 0 is perfect."),
    (
        "Balanced accuracy, F1, MCC",
        "Scores of the plain states. Where rooms are mostly empty, a forecaster that always says vacant has a high \
         accuracy, but not high values of these.",
    ),
    ("PR-AUC, ROC-AUC", "How well the probabilities rank hours, for any threshold. PR-AUC is average precision."),
    (
        "Calibration error",
        "The mean difference between probability and share of occupied hours, in ten bins of equally many hours. Most \
         hours are nights with a chance near zero, on which every forecaster is right. The next column leaves out hours \
         given less than 10 %.",
    ),
    (
        "Intervals",
        "Whole days are drawn with replacement 1,000 times, the same for model and rule. The intervals hold for other \
         days of this building, not for other buildings.",
    ),
    (
        "Parts of the model",
        "The kernel rate is a decayed rate of the hour of the week. The stack, fitted at this site, begins with it. The \
         corrected stack has shipped memories of other lengths. The shipped layers were learned from other buildings. \
         The expert is a LightGBM of the one device. The model is their mean, in log-odds; the last two count as one.",
    ),
    (
        "Silent sensor",
        "A sensor without motion for far longer than usual while the building is in use. Its hours count as vacant, \
         because nothing else is known. They are also scored separately.",
    ),
    (
        "The simple rules",
        "The probability of a rule is its record: how often the room was occupied after the same answer, on days of \
         the same type, before the origin. The hour-of-week rate is the share of occupied hours at that weekday and \
         hour; recent weeks weigh more.",
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
