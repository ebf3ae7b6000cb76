//! `roomcast simulate`: writes the readings of a seeded building to a file.

mod live;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use chrono::NaiveDate;
use tempfile::NamedTempFile;

use crate::commands::simulate::live::Server;
use roomcast_forecast::files;
use roomcast_simulate::{Building, Format, Summary, WriteError, is_in_range, write};

/// Make the motion-sensor readings of a building that does not exist.
///
/// The same options give the same bytes on any number of cores. Device names are `device_1` to
/// `device_9`; larger buildings have floors of 50, named like `floor_03/room_0127`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Example:\n  roomcast simulate --devices 200 --from 2024-01-01 --to 2024-03-31 --output building.parquet"
)]
pub struct SimulateArgs {
    /// Number of devices, one in each room.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub devices: u32,
    /// First day.
    #[arg(long, value_name = "DATE", default_value = "2016-07-01")]
    pub from: NaiveDate,
    /// Last day, inclusive.
    #[arg(long, value_name = "DATE", default_value = "2016-08-31")]
    pub to: NaiveDate,
    /// Another seed is another building.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// File to write, replaced only when it is whole; `-` is standard output.
    #[arg(long, short, value_name = "PATH", default_value = "-")]
    pub output: PathBuf,
    /// Format of the file; without it, Parquet for a name that ends in .parquet, otherwise CSV.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// How much rooms are used: at 1 about 20 readings per device and day.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = density)]
    pub density: f64,
    /// Share of devices that are installed late, die, fall silent for weeks, or chatter.
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = share)]
    pub faults: f64,
    /// Share of readings that are written twice.
    #[arg(long, value_name = "SHARE", default_value_t = 0.005, value_parser = share)]
    pub duplicates: f64,
    /// Share of readings that stand up to five minutes after their place.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub disorder: f64,
    /// Also write, as CSV, in which hours somebody really was in each room.
    #[arg(long, value_name = "PATH")]
    pub truth: Option<PathBuf>,
    /// Play the readings in real time instead: to a broker as Zigbee2MQTT would (mqtt://host, mqtts://host), or to a
    /// server's /readings (http://host:port, https://host) with the token in ROOMCAST_TOKEN. Never past the present.
    /// Names of larger buildings have a slash: serve them with --mqtt-topic 'zigbee2mqtt/#'.
    #[arg(long, value_name = "URL", conflicts_with_all = ["output", "format", "truth", "disorder"])]
    pub live: Option<String>,
    /// How much faster than real time to play.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, requires = "live", value_parser = speed)]
    pub speed: f64,
    /// Certificates to trust for mqtts:// and https://, PEM.
    #[arg(long, value_name = "FILE", requires = "live")]
    pub live_ca: Option<PathBuf>,
}

/// Writes the building's readings, and one line about them to standard error.
///
/// # Errors
/// Returns an error when the span is invalid, or an output cannot be written. The earlier file at its path is unchanged
/// then. A reader that closes the pipe early is no error.
pub fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    let begun = Instant::now();
    let building = building(args)?;
    if let Some(url) = &args.live {
        return play(&building, url, args);
    }
    let format = args.format.unwrap_or_else(|| format_of(&args.output));
    if let Some(truth) = &args.truth {
        ensure!(*truth != args.output, "--truth and --output are both {}", truth.display());
    }
    let mut output = Output::create(&args.output)?;
    let mut truth = args.truth.as_deref().map(Output::create).transpose()?;
    let writer = truth.as_mut().map(|truth| &mut truth.writer as &mut dyn Write);
    let summary = match write(&building, format, &mut output.writer, writer) {
        Err(WriteError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        summary => summary.with_context(|| format!("cannot write readings to {}", output.name))?,
    };
    output.finish()?;
    if let Some(truth) = truth {
        truth.finish()?;
    }
    // Standard error may have no reader. A lost line does not spoil the file.
    let _ = writeln!(io::stderr(), "{}", line(&building, summary, begun.elapsed().as_secs_f64()));
    Ok(())
}

/// Plays the building, and prints the number of devices and readings.
fn play(building: &Building, url: &str, args: &SimulateArgs) -> anyhow::Result<()> {
    let played = if url.starts_with("http") {
        let trusted = args
            .live_ca
            .as_ref()
            .map(|path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display())));
        let token = std::env::var("ROOMCAST_TOKEN").ok();
        let server = Server::parse(url, token, trusted.transpose()?.as_deref());
        let server = server.map_err(anyhow::Error::msg).context("the server's address cannot be used")?;
        live::post(building, &server, args.speed)?
    } else {
        let broker = super::live::broker(url, None, args.live_ca.as_deref(), "roomcast-simulate")?;
        live::publish(building, &broker, args.speed)?
    };
    let _ = writeln!(io::stderr(), "{} devices, {} readings played", building.devices, played.readings);
    Ok(())
}

fn building(args: &SimulateArgs) -> anyhow::Result<Building> {
    for date in [args.from, args.to] {
        ensure!(is_in_range(date), "{date} is outside the years 1971 to 2200");
    }
    ensure!(args.from <= args.to, "the last day, {}, lies before the first, {}", args.to, args.from);
    Ok(Building {
        density: args.density,
        faults: args.faults,
        duplicates: args.duplicates,
        disorder: args.disorder,
        ..Building::new(args.seed, args.devices as usize, args.from, args.to)
    })
}

fn line(building: &Building, summary: Summary, seconds: f64) -> String {
    let hours = building.devices as f64 * 24.0 * summary.days as f64;
    format!(
        "{} devices, {} days, {} readings; {:.1} % of hours with a reading, {:.1} % with somebody there; {seconds:.1} s",
        building.devices,
        summary.days,
        summary.readings,
        100.0 * summary.hours_observed as f64 / hours,
        100.0 * summary.hours_occupied as f64 / hours,
    )
}

fn format_of(path: &Path) -> Format {
    match path.extension() {
        Some(extension) if extension.eq_ignore_ascii_case("parquet") => Format::Parquet,
        _ => Format::Csv,
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let expected = "a factor above 0, at most 1000000";
    within(text, 1e6, expected).and_then(|factor| if factor > 0.0 { Ok(factor) } else { Err(expected.into()) })
}

fn share(text: &str) -> Result<f64, String> {
    within(text, 1.0, "a share from 0 to 1")
}

fn density(text: &str) -> Result<f64, String> {
    within(text, 10.0, "a factor from 0 to 10")
}

fn within(text: &str, most: f64, expected: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number| (0.0..=most).contains(number)).ok_or_else(|| format!("expected {expected}"))
}

/// An output that becomes visible under its name only when it is whole.
struct Output {
    name: String,
    writer: BufWriter<Box<dyn Write>>,
    /// The file beside the target, and the target. `None` for standard output and devices.
    kept: Option<(NamedTempFile, PathBuf)>,
}

impl Output {
    fn create(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            let writer = BufWriter::new(Box::new(io::stdout()) as Box<dyn Write>);
            return Ok(Self { name: "standard output".into(), writer, kept: None });
        }
        let name = path.display().to_string();
        let context = || format!("cannot create {name}");
        // A link stays as it is, and the file it points to is replaced.
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if target.is_dir() {
            bail!("cannot create {name}: it is a directory");
        }
        if target.exists() && !target.is_file() {
            let file = File::options().write(true).open(&target).with_context(context)?;
            return Ok(Self { writer: BufWriter::new(Box::new(file)), kept: None, name });
        }
        let file = files::create_beside(&target).with_context(context)?;
        let handle = file.as_file().try_clone().with_context(context)?;
        Ok(Self { writer: BufWriter::new(Box::new(handle)), kept: Some((file, target)), name })
    }

    fn finish(mut self) -> anyhow::Result<()> {
        let context = || format!("cannot write {}", self.name);
        self.writer.flush().with_context(context)?;
        if let Some((file, target)) = self.kept {
            files::persist(file, &target).with_context(context)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn parse(args: &[&str]) -> Result<SimulateArgs, clap::Error> {
        Line::try_parse_from(std::iter::once(&"simulate").chain(args)).map(|line| line.args)
    }

    #[test]
    fn the_format_follows_the_name() {
        assert_eq!(format_of(Path::new("a/b.parquet")), Format::Parquet);
        assert_eq!(format_of(Path::new("b.PARQUET")), Format::Parquet);
        assert_eq!(format_of(Path::new("parquet")), Format::Csv);
        assert_eq!(format_of(Path::new("-")), Format::Csv);
    }

    #[test]
    fn wrong_numbers_are_refused() {
        for args in [
            ["--faults", "1.5"],
            ["--duplicates", "-1"],
            ["--disorder", "nan"],
            ["--density", "inf"],
            ["--devices", "0"],
            ["--from", "2016-02-30"],
        ] {
            assert!(parse(&args).is_err(), "{args:?}");
        }
        assert!(parse(&["--faults", "0", "--density", "2.5"]).is_ok());
    }

    #[test]
    fn a_span_must_be_one() {
        let error = |args: &[&str]| building(&parse(args).unwrap()).unwrap_err().to_string();
        assert!(error(&["--from", "2016-09-01"]).contains("before the first"));
        assert!(error(&["--from", "1066-10-14"]).contains("1971"));
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("readings.csv");
        std::fs::write(&target, "old").unwrap();
        let mut output = Output::create(&target).unwrap();
        output.writer.write_all(b"half of the n").unwrap();
        drop(output);
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "old");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
