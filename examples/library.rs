//! Roomcast as a library: readings in memory in, the chance of every room and hour out.
//!
//! Run it with `cargo run --release --example library`.

use roomcast::calendar::Calendar;
use roomcast::features::Building;
use roomcast::forecast::forecast_all;
use roomcast::hourly::Hourly;
use roomcast::model::fit;
use roomcast::simulate;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let readings = simulate::Building::new(7, 5, "2016-07-01".parse()?, "2016-08-31".parse()?).readings();
    let calendar = Calendar::default();
    // Nothing at or after the origin is looked at, neither by the training nor by the forecast.
    let origin = calendar.parse("2016-08-24 23:59:59")?;
    let hourly = Hourly::new(&readings, &calendar, origin);
    let building = Building::new(&hourly);
    let models = fit::train(&hourly, &building, &|| ())?;
    for forecast in forecast_all(&hourly, &building, &models)? {
        let busiest = forecast.hours.iter().max_by(|a, b| a.probability.total_cmp(&b.probability));
        if let Some(hour) = busiest {
            let start = calendar.format(calendar.start(hour.hour));
            println!(
                "{}: busiest at {start}, {:.0} % ({:?})",
                forecast.device,
                100.0 * hour.probability,
                forecast.source
            );
        }
    }
    Ok(())
}
