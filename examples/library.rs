//! Roomcast as a library: readings in memory in, the chance of every room and hour out.
//!
//! Run it with `cargo run --release --example library`.

use roomcast_forecast::Forecaster;
use roomcast_forecast::calendar::Calendar;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let readings = roomcast_simulate::Building::new(7, 5, "2016-07-01".parse()?, "2016-08-31".parse()?).readings();
    let calendar = Calendar::default();
    // Nothing at or after the origin is looked at, neither by the training nor by the forecast.
    let origin = calendar.parse("2016-08-24 23:59:59")?;
    let forecaster = Forecaster::new(calendar).fit(&readings, origin)?;
    for forecast in forecaster.forecast(origin)? {
        let busiest = forecast.hours.iter().max_by(|a, b| a.probability.total_cmp(&b.probability));
        if let Some(hour) = busiest {
            let start = forecaster.calendar.format(forecaster.calendar.start(hour.hour));
            let percent = 100.0 * hour.probability;
            println!("{}: busiest at {start}, {percent:.0} % ({:?})", forecast.device, forecast.source);
        }
    }
    Ok(())
}
