//! The table of benchmarks: every row a goal, what was measured, and whether the goal is met.

use std::fmt;

use serde_json::{Value, json};

use crate::table::Table;

/// What a measurement must be. Ratios count in hundredths.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    bound: Bound,
    value: u64,
    unit: Unit,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    AtMost,
    AtLeast,
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    Hundredths,
    Ones,
}

#[derive(Clone, Copy, Debug)]
pub enum Measured {
    /// One measured thing over another.
    Ratio {
        of: u64,
        over: u64,
    },
    Count(u64),
    NotYet,
}

pub struct Row {
    pub id: &'static str,
    pub what: String,
    pub goal: Goal,
    pub measured: Measured,
    /// What the ratio was made from, or why there is none.
    pub details: String,
}

#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
}

impl Goal {
    /// Of a ratio.
    pub fn at_most(hundredths: u64) -> Self {
        Self { bound: Bound::AtMost, value: hundredths, unit: Unit::Hundredths }
    }

    /// Of a ratio.
    pub fn at_least(hundredths: u64) -> Self {
        Self { bound: Bound::AtLeast, value: hundredths, unit: Unit::Hundredths }
    }

    pub fn count_at_most(value: u64) -> Self {
        Self { bound: Bound::AtMost, value, unit: Unit::Ones }
    }

    /// Exact, whatever the table rounds; nothing as long as nothing is measured.
    pub fn is_met(&self, measured: Measured) -> Option<bool> {
        let (of, over) = match measured {
            Measured::Ratio { of, over } => (of, over),
            Measured::Count(count) => (count, 1),
            Measured::NotYet => return None,
        };
        let per = match self.unit {
            Unit::Hundredths => 100,
            Unit::Ones => 1,
        };
        let (of, bound) = (u128::from(of) * per, u128::from(over) * u128::from(self.value));
        Some(match self.bound {
            Bound::AtMost => of <= bound,
            Bound::AtLeast => of >= bound,
        })
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.bound {
            Bound::AtMost => "<= ",
            Bound::AtLeast => ">= ",
        })?;
        match self.unit {
            Unit::Hundredths => write!(f, "{}.{:02}", self.value / 100, self.value % 100),
            Unit::Ones => write!(f, "{}", self.value),
        }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Measured::Ratio { of, over } => {
                let over = u128::from(over.max(1));
                let hundredths = (u128::from(of) * 100 + over / 2) / over;
                write!(f, "{}.{:02}", hundredths / 100, hundredths % 100)
            }
            Measured::Count(count) => write!(f, "{count}"),
            Measured::NotYet => f.write_str("not yet"),
        }
    }
}

impl Row {
    fn met(&self) -> Option<bool> {
        self.goal.is_met(self.measured)
    }

    fn json(&self) -> Value {
        let measured = match self.measured {
            Measured::Ratio { .. } | Measured::Count(_) => Some(self.measured.to_string()),
            Measured::NotYet => None,
        };
        json!({ "id": self.id, "what": self.what, "goal": self.goal.to_string(), "measured": measured, "met": self.met(), "details": self.details })
    }
}

impl Report {
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Ratios are decimal strings; `measured` and `met` are null where nothing is measured yet.
    pub fn json(&self) -> Value {
        json!({ "benchmarks": self.rows.iter().map(Row::json).collect::<Vec<_>>() })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["id", "what", "goal", "measured", "met", "from"]);
        for row in &self.rows {
            let met = match row.met() {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "-",
            };
            table.row([
                row.id.to_owned(),
                row.what.clone(),
                row.goal.to_string(),
                row.measured.to_string(),
                met.to_owned(),
                row.details.clone(),
            ]);
        }
        let count = |met| self.rows.iter().filter(|row| row.met() == met).count();
        write!(f, "{table}{} goals met, {} missed, {} not measured yet", count(Some(true)), count(Some(false)), count(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_judged_by_the_exact_ratio_and_not_by_the_rounded_one() {
        let slightly_more = Measured::Ratio { of: 1001, over: 1000 };
        assert_eq!(slightly_more.to_string(), "1.00");
        assert_eq!(Goal::at_most(100).is_met(slightly_more), Some(false));
        assert_eq!(Goal::at_least(100).is_met(slightly_more), Some(true));
        assert_eq!(Goal::at_most(100).is_met(Measured::Ratio { of: 7, over: 7 }), Some(true));
    }

    #[test]
    fn counts_have_no_hundredths_and_what_is_not_measured_meets_nothing() {
        let goal = Goal::count_at_most(12);
        assert_eq!(goal.to_string(), "<= 12");
        assert_eq!(
            [goal.is_met(Measured::Count(12)), goal.is_met(Measured::Count(13)), goal.is_met(Measured::NotYet)],
            [Some(true), Some(false), None]
        );
    }

    #[test]
    fn json_tells_what_is_missing_by_null() {
        let mut report = Report::default();
        report.add(Row { id: "B7", what: String::new(), goal: Goal::at_least(60), measured: Measured::NotYet, details: String::new() });
        let row = &report.json()["benchmarks"][0];
        assert_eq!((&row["measured"], &row["met"], row["goal"].as_str()), (&Value::Null, &Value::Null, Some(">= 0.60")));
    }
}
