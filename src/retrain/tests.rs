//! How layers of several generations are put together.

use std::collections::BTreeMap;

use super::due::Reason;
use super::generations::{assemble, move_off_the_oldest};
use super::report::{Report, Trial};
use super::{MOST_OLDER, Options};
use crate::calendar::Calendar;
use crate::model::{DeviceModel, Models, SiteModel};

const OPTIONS: Options = Options { until: 0, max_age: 0, judge_days: 7, all: false, dry_run: false };

fn site(cutoff: i64) -> SiteModel {
    SiteModel { cutoff, tree_weight: cutoff as f64, ..Default::default() }
}

fn device(sits_on: u8, cutoff: i64) -> DeviceModel {
    DeviceModel { sits_on, cutoff, follows_site: true, ..Default::default() }
}

fn named(devices: &[(&str, DeviceModel)]) -> BTreeMap<String, DeviceModel> {
    devices.iter().map(|(name, device)| ((*name).to_owned(), device.clone())).collect()
}

/// Devices by the cutoffs of the site layers they sit on and of their own.
fn generations(models: &Models) -> Vec<(&str, i64, i64)> {
    models.devices.iter().map(|(name, d)| (name.as_str(), models.site_of(d).cutoff, d.cutoff)).collect()
}

fn champion() -> Models {
    let devices = named(&[("a", device(0, 30)), ("b", device(0, 35)), ("c", device(1, 20)), ("d", device(2, 10))]);
    Models { site: site(30), older: vec![site(20), site(10)], devices, cutoff: 35, ..Models::default() }
}

#[test]
fn a_kept_device_stays_on_the_site_layers_it_was_fitted_on() {
    let fresh = named(&[("a", device(0, 40)), ("b", device(0, 40)), ("c", device(0, 40)), ("d", device(0, 40))]);
    let fresh = Models { site: site(40), devices: fresh, cutoff: 40, ..Models::default() };
    let models = assemble(fresh, &champion(), false, |name| name == "b" || name == "d");
    assert_eq!(generations(&models), [("a", 40, 40), ("b", 30, 35), ("c", 40, 40), ("d", 10, 10)]);
    // Nobody sits on the layers of generation 20 any longer.
    assert_eq!(models.older, [site(30), site(10)]);
    assert_eq!(models.cutoff, 40);
}

#[test]
fn devices_renewed_alone_sit_on_the_site_layers_that_stay() {
    let fresh = named(&[("c", device(0, 40)), ("new", device(0, 40))]);
    let fresh = Models { site: site(30), devices: fresh, cutoff: 40, ..Models::default() };
    let models = assemble(fresh, &champion(), true, |name| name != "c");
    let expected = [("a", 30, 30), ("b", 30, 35), ("c", 30, 40), ("d", 10, 10), ("new", 30, 40)];
    assert_eq!(generations(&models), expected);
    assert_eq!(models.older, [site(10)]);
}

#[test]
fn devices_leave_site_layers_that_are_too_old() {
    let mut champion = champion();
    champion.older.push(site(5));
    champion.devices = named(&[("a", device(0, 30)), ("d", device(MOST_OLDER as u8, 10))]);
    let mut report = Report::new(&Calendar::default(), &OPTIONS, 2);
    for name in ["a", "d"] {
        report.devices.insert(name.into(), Trial::unjudged(Reason::OlderSite, false));
    }
    move_off_the_oldest(&champion, &mut report);
    assert_eq!((report.devices["a"].promoted, report.devices["d"].promoted), (false, true));
    assert!(report.text().contains("d, on older site layers: promoted, the site layers it sat on are too old"));
}
