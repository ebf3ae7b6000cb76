use rayon::prelude::*;
use roomcast::{calendar::*, features::*, forecast::forecast, hourly::*, model::*, readings::*};
use std::collections::BTreeMap;
fn read(path: &str, cal: &Calendar) -> Readings {
    let mut m: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for l in std::fs::read_to_string(path).unwrap().lines().skip(1) {
        let p: Vec<&str> = l.split(',').collect();
        m.entry(p[1].into()).or_default().push(cal.parse(p[0]).unwrap());
    }
    Readings {
        devices: m
            .into_iter()
            .map(|(device, mut times)| {
                times.sort();
                times.dedup();
                DeviceReadings { device, times }
            })
            .collect(),
    }
}
fn ll(p: f64, y: bool) -> f64 {
    let p = p.clamp(1e-6, 1.0 - 1e-6);
    if y { -p.ln() } else { -(1.0 - p).ln() }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let cal = Calendar::default();
    let r = read(&a[1], &cal);
    let from = cal.parse(&a[2]).unwrap();
    let to = cal.parse(&a[3]).unwrap();
    let every: i64 = a[4].parse::<i64>().unwrap() * HOUR;
    let refit: i64 = a[5].parse::<i64>().unwrap() * HOUR;
    let truth = Hourly::new(&r, &cal, r.span().unwrap().1 + 1);
    let mut origins = vec![];
    let mut o = from;
    while o <= to {
        origins.push(o);
        o += every;
    }
    let mut groups: Vec<Vec<i64>> = vec![];
    let mut last = i64::MIN;
    for o in origins {
        if last == i64::MIN || o >= last + refit {
            groups.push(vec![]);
            last = o;
        }
        groups.last_mut().unwrap().push(o);
    }
    let t0 = std::time::Instant::now();
    // name -> per layer stats
    type C = (u32, [f64; 6], bool, u8, bool, i64);
    let out: Vec<C> = groups
        .par_iter()
        .flat_map(|g| {
            let h = Hourly::new(&r, &cal, g[0]);
            let b = Building::new(&h);
            let tr = fit::train(&h, &b, &|| ()).unwrap();
            let plain = Models::default();
            let of = |wt: f64| Models { site: SiteModel { tree_weight: wt, ..tr.site.clone() }, ..Default::default() };
            let (lin_m, b1_m, b_m) = (of(0.), of(1.), of(tr.site.tree_weight));
            let none = {
                let mut m = plain.clone();
                for d in &r.devices {
                    m.devices.insert(d.device.clone(), DeviceModel::default());
                }
                m
            };
            if std::env::var("V").is_ok() {
                eprintln!(
                    "wt {:.1} trees {} coef {:.2?} dev {:?}",
                    tr.site.tree_weight,
                    tr.site.trees.len(),
                    tr.site.linear.coefficients(),
                    tr.devices.values().map(|d| (d.trees.len(), d.tree_weight)).collect::<Vec<_>>()
                );
            }
            let mut out = vec![];
            for &o in g {
                let h = Hourly::new(&r, &cal, o);
                let b = Building::new(&h);
                for (i, d) in h.devices.iter().enumerate() {
                    let t = truth.position(&d.device).unwrap();
                    let td = &truth.devices[t];
                    let base = forecast(&h, &b, i, &none).unwrap();
                    let lin = forecast(&h, &b, i, &lin_m).unwrap();
                    let bl1 = forecast(&h, &b, i, &b1_m).unwrap();
                    let bld = forecast(&h, &b, i, &b_m).unwrap();
                    let full = forecast(&h, &b, i, &tr).unwrap();
                    let table = Table::new(&h, &b, i).unwrap();
                    let week = table.matrix(&horizon(o, h.end)).unwrap();
                    for k in 0..24 {
                        let hour = full.hours[k].hour;
                        if hour >= truth.end {
                            continue;
                        }
                        let idx = (hour - td.first) as usize;
                        let y = td
                            .times
                            .binary_search_by(|&x| {
                                if cal.hour(x) < hour {
                                    std::cmp::Ordering::Less
                                } else if cal.hour(x) > hour {
                                    std::cmp::Ordering::Greater
                                } else {
                                    std::cmp::Ordering::Equal
                                }
                            })
                            .is_ok();
                        let unobs = td.states[idx] == State::Unobserved;
                        let wk = sigmoid((week.column(0)[k] + week.column(1)[k]) as f64);
                        out.push((
                            t as u32,
                            [
                                base.hours[k].probability,
                                lin.hours[k].probability,
                                bl1.hours[k].probability,
                                bld.hours[k].probability,
                                full.hours[k].probability,
                                wk,
                            ],
                            y,
                            (k + 1) as u8,
                            unobs,
                            (hour as i64) / 24,
                        ));
                    }
                }
            }
            out
        })
        .collect();
    let report = |name: &str, f: &dyn Fn(&C) -> bool| {
        let v: Vec<_> = out.iter().filter(|x| f(x)).collect();
        let n = v.len() as f64;
        if n == 0.0 {
            return;
        }
        print!("{name:>10} n {n:6} ");
        for k in 0..6 {
            let l: f64 = v.iter().map(|x| ll(x.1[k], x.2)).sum::<f64>() / n;
            let br: f64 = v.iter().map(|x| (x.1[k] - x.2 as u8 as f64).powi(2)).sum::<f64>() / n;
            let acc = v.iter().filter(|x| (x.1[k] >= 0.5) == x.2).count() as f64 / n;
            let tp = v.iter().filter(|x| x.1[k] >= 0.5 && x.2).count() as f64;
            let fp = v.iter().filter(|x| x.1[k] >= 0.5 && !x.2).count() as f64;
            let fnn = v.iter().filter(|x| x.1[k] < 0.5 && x.2).count() as f64;
            print!("| {l:.4} {br:.4} {acc:.3} {:.3} ", 2.0 * tp / (2.0 * tp + fp + fnn));
        }
        println!();
    };
    println!("layers: prior | linear | +trees w=1 | weighted building | full | weekday rate    ({:.1?})", t0.elapsed());
    report("all", &|_| true);
    report("lead1", &|x| x.3 == 1);
    report("observed", &|x| !x.4);
    if std::env::var("DAY").is_ok() {
        let a = cal.hour(from) as i64 / 24;
        for d in a..=cal.hour(to) as i64 / 24 {
            report(&cal.format(d * 86400)[5..10], &|x| x.5 == d);
        }
    }
    for (a, b) in [(0u8, 7u8)] {
        let _ = (a, b);
    }
    if std::env::var("D").is_ok() {
        for d in 0..truth.devices.len() as u32 {
            report(&truth.devices[d as usize].device, &|x| x.0 == d);
        }
    }
}
