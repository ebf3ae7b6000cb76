//! Roomcast as a library: readings in memory in, the chance of every room and hour out.
//!
//! Run it with `cargo run --release --example library`.

use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::forecast::forecast_all;
use roomcast_forecast::hourly::Hourly;
use roomcast_forecast::model::fit;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let readings = roomcast_simulate::Building::new(7, 5, "2016-07-01".parse()?, "2016-08-31".parse()?).readings();
    let calendar = Calendar::default();
    // Nothing at or after the origin is looked at, neither by the training nor by the forecast.
    let origin = calendar.parse("2016-08-24 23:59:59")?;
    let hourly = Hourly::new(&readings, &calendar, origin);
    let building = SiteRates::new(&hourly);
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
