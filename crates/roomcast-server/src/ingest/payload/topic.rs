//! The device that a topic names.

/// A topic filter of MQTT, or a template that names the level with the device: `site/{device}/motion`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    levels: Vec<Level>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    Text(String),
    /// `+`: any one level.
    One,
    /// `#`: this level and all after it.
    Rest,
    /// `{device}`: any one level, which is the device's name.
    Device,
}

impl Pattern {
    /// Reads a filter or template.
    ///
    /// # Errors
    /// Returns a message for an empty text, a wildcard within a level, an early `#` and a second `{device}`.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let count = text.split('/').count();
        let level = |(at, level): (usize, &str)| match level {
            "+" => Ok(Level::One),
            "{device}" => Ok(Level::Device),
            "#" if at + 1 == count => Ok(Level::Rest),
            _ if level.contains(['+', '#', '{', '}', '\0']) => {
                Err(format!("{text:?} has {level:?} as a level; wildcards and {{device}} stand alone, # at the end"))
            }
            _ => Ok(Level::Text(level.to_owned())),
        };
        let levels = text.split('/').enumerate().map(level).collect::<Result<Vec<_>, _>>()?;
        match levels.iter().filter(|level| **level == Level::Device).count() {
            _ if text.is_empty() => Err("a topic has at least one character".into()),
            0 | 1 => Ok(Pattern { levels }),
            _ => Err(format!("{text:?} names {{device}} more than once")),
        }
    }

    /// Returns whether the pattern marks one level as the device.
    pub(crate) fn names_device(&self) -> bool {
        self.levels.contains(&Level::Device)
    }

    /// Returns the filter to subscribe to.
    pub fn filter(&self) -> String {
        let level = |level: &Level| match level {
            Level::Text(text) => text.clone(),
            Level::One | Level::Device => "+".to_owned(),
            Level::Rest => "#".to_owned(),
        };
        self.levels.iter().map(level).collect::<Vec<_>>().join("/")
    }

    /// Returns the device that a topic names, if the pattern matches it: the text that `{device}` matches, else the
    /// text that the wildcards match, else the whole topic.
    pub fn device(&self, topic: &str) -> Option<String> {
        let mut wild = Vec::new();
        let mut named = None;
        let mut parts = topic.split('/');
        for level in &self.levels {
            if *level == Level::Rest {
                wild.extend(parts.by_ref());
                break;
            }
            let part = parts.next()?;
            match level {
                Level::Text(text) if text != part => return None,
                Level::Device => named = Some(part),
                Level::One => wild.push(part),
                _ => {}
            }
        }
        match (parts.next(), named) {
            (Some(_), _) => None,
            (None, Some(device)) => Some(device.to_owned()),
            (None, None) if wild.is_empty() => Some(topic.to_owned()),
            (None, None) => Some(wild.join("/")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_is_what_the_wildcards_stand_for() {
        for (pattern, topic, device) in [
            ("zigbee2mqtt/+", "zigbee2mqtt/hall", Some("hall")),
            ("zigbee2mqtt/+", "zigbee2mqtt/hall/availability", None),
            ("zigbee2mqtt/+", "zigbee2mqtt", None),
            ("zigbee2mqtt/+/availability", "zigbee2mqtt/hall/availability", Some("hall")),
            ("zigbee2mqtt/#", "zigbee2mqtt/floor_03/room_0127", Some("floor_03/room_0127")),
            ("tele/+/SENSOR", "tele/hall/SENSOR", Some("hall")),
            ("tele/+/SENSOR", "tele/hall/STATE", None),
            ("+/motion/+", "a/motion/b", Some("a/b")),
            ("site/hall/motion", "site/hall/motion", Some("site/hall/motion")),
            ("site/{device}/motion", "site/hall/motion", Some("hall")),
            ("+/{device}/#", "x/hall/a/b", Some("hall")),
            ("a/{device}", "b/hall", None),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().device(topic).as_deref(), device, "{pattern} {topic}");
        }
        assert_eq!(Pattern::parse("+/{device}/#").unwrap().filter(), "+/+/#");
    }

    #[test]
    fn patterns_that_mean_nothing_are_refused() {
        for wrong in ["", "a/#/b", "a+", "a/{dev}", "{device}/{device}", "a/b#"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }
}
