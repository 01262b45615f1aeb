//! What a case is given: records, links, and both sides of a pair.

use indexmap::IndexMap;

use super::{Head, TestChecks};
use crate::compile::compiled::{
    MappingCase, PerSide, Side, Stream, StreamRef, TestBaseline, TestTask, TestedFlow, TwoWay,
};
use crate::compile::pointer::Pointer;
use crate::definition::{ChosenSide, GivenBaseline, GivenCase, GivenFields, GivenRecord, TestCase};
use crate::diagnostic::Code;
use crate::expression::Value;

impl TestChecks<'_, '_> {
    /// Records by stream. One without a key could be found by nobody.
    pub(super) fn records(
        &self,
        at: &Pointer,
        records: &IndexMap<String, Vec<GivenFields>>,
    ) -> Vec<(StreamRef, Value<'static>)> {
        let mut given = Vec::new();
        for (name, list) in records {
            let Some(stream) = self.stream(&at.itself(name), name) else {
                continue;
            };
            for (position, fields) in list.iter().enumerate() {
                let record = value(fields);
                let key = &self.stream_of(stream).key;
                if key.one(&record).and_then(Value::key_text).is_none() {
                    let at = at.key(name).index(position);
                    self.checks.error(Code::WrongCase, &at, |report| {
                        report.message(format!(
                            "the record has no key at `{}`, so nothing could find it",
                            key.source()
                        ))
                    });
                }
                given.push((stream, record));
            }
        }
        given
    }

    /// Links of flows, under the names by which they are stored.
    pub(super) fn links(&self, at: &Pointer, given: &GivenCase) -> Vec<(String, String, String)> {
        let mut links = Vec::new();
        for (name, keys) in &given.links {
            if !self.has_flow(&at.itself(name), name) {
                continue;
            }
            let keys = keys.iter();
            links.extend(keys.map(|(source, target)| (name.clone(), source.clone(), target.clone())));
        }
        links
    }

    pub(super) fn stream_of(&self, stream: StreamRef) -> &Stream {
        &self.pipeline.connections[stream.connection].connector.streams[stream.stream]
    }

    /// A case that is no table.
    pub(super) fn single(
        &self,
        at: &Pointer,
        case: &TestCase,
        given: &GivenCase,
        head: &Head,
    ) -> Option<MappingCase> {
        let mut complete = true;
        let mut missing = |there: bool, word: &str, why: &str| {
            if !there && !self.checks.is_omitted(&at.key(word)) {
                complete = false;
                self.checks
                    .error(Code::MissingWord, at, |report| report.message(why.to_owned()));
            }
        };
        missing(
            case.name.is_some(),
            "name",
            "`name` is missing: a sentence that says what the case shows",
        );
        missing(
            case.given.is_some(),
            "given",
            "`given` is missing: the records that the flow works on",
        );
        missing(
            case.expect.is_some(),
            "expect",
            "`expect` is missing: what becomes of the record",
        );
        for (word, there) in [
            ("becomes", !case.becomes.is_empty()),
            ("to_local", !case.to_local.is_empty()),
            ("to_remote", !case.to_remote.is_empty()),
        ] {
            if there {
                complete = false;
                self.wrong(
                    &at.key(word),
                    "a table of values belongs to one row: `row` is missing",
                );
            }
        }
        let expect = case.expect.clone().unwrap_or_default();
        self.expectation(&at.key("expect"), head.flow, &expect);
        case.given.as_ref()?;
        let given_at = at.key("given");
        let task = match head.flow {
            TestedFlow::OneWay(id) => {
                let flow = &self.pipeline.flows[id];
                complete &= self.refuse(
                    &given_at,
                    "the flow goes one way: `record` is read, `target` is the sink's",
                    &[
                        ("remote", given.remote.is_some()),
                        ("local", given.local.is_some()),
                        ("publish", given.publish.is_some()),
                        ("chosen", !given.chosen.is_empty()),
                    ],
                );
                let Some(record) = &given.record else {
                    if complete {
                        self.wrong(&given_at, "`record` is missing: the record that the flow reads");
                    }
                    return None;
                };
                let baseline = self.one_way_baseline(&given_at.key("baseline"), given.baseline.as_ref())?;
                let linked = given.linked.unwrap_or(baseline.is_some());
                let target = given.target.as_ref().map(value);
                let sink = &self.stream_of(flow.to).key;
                let target_key = target.as_ref().and_then(|target| sink.one(target)?.key_text());
                let linked = match (linked, target_key) {
                    (true, Some(key)) => Some(key),
                    (false, _) => None,
                    // A baseline without a target: the sink's record is gone.
                    (true, None) if given.baseline.is_some() && given.target.is_none() => {
                        Some("gone".to_owned())
                    }
                    (true, None) => {
                        self.wrong(
                            &given_at.key("target"),
                            &format!(
                                "the two are linked, and the target has no key at `{}`",
                                sink.source()
                            ),
                        );
                        return None;
                    }
                };
                let mut case = head.case(
                    case.name.clone().unwrap_or_default(),
                    TestTask::OneWay {
                        record: value(record),
                        baseline: baseline.map(value),
                        linked,
                        expect: Box::new(expect),
                    },
                );
                case.records.push((flow.from, value(record)));
                case.records.extend(target.map(|target| (flow.to, target)));
                return complete.then_some(case);
            }
            TestedFlow::TwoWay(id) => {
                let way = &self.pipeline.two_way[id];
                complete &= self.refuse(
                    &given_at,
                    "the flow goes both ways: its records are `remote` and `local`",
                    &[
                        ("record", given.record.is_some()),
                        ("target", given.target.is_some()),
                    ],
                );
                self.two_way(&given_at, way, given, expect)
            }
        };
        let TestedFlow::TwoWay(id) = head.flow else {
            return None;
        };
        let streams = self.pipeline.two_way[id].streams;
        let mut case = head.case(case.name.clone().unwrap_or_default(), task?);
        if let TestTask::TwoWay { sides, .. } = &case.task {
            for side in Side::BOTH {
                let record = sides[side].clone();
                case.records.extend(record.map(|record| (streams[side], record)));
            }
        }
        complete.then_some(case)
    }

    fn one_way_baseline<'g>(
        &self,
        at: &Pointer,
        baseline: Option<&'g GivenBaseline>,
    ) -> Option<Option<&'g GivenFields>> {
        let Some(baseline) = baseline else {
            return Some(None);
        };
        let fits = self.refuse(
            at,
            "the flow goes one way: its baseline is a `record`",
            &[
                ("remote", baseline.remote.is_some()),
                ("local", baseline.local.is_some()),
                (
                    "fallbacks",
                    baseline.fallbacks.remote.is_some() || baseline.fallbacks.local.is_some(),
                ),
                ("held", !baseline.held.is_empty()),
            ],
        );
        if baseline.record.is_none() && fits {
            self.wrong(at, "`record` is missing: the record as it was last loaded");
        }
        baseline.record.as_ref().map(Some)
    }

    fn two_way(
        &self,
        at: &Pointer,
        way: &TwoWay,
        given: &GivenCase,
        expect: crate::definition::Expectation,
    ) -> Option<TestTask> {
        let baseline = match &given.baseline {
            Some(baseline) => Some(self.pair_baseline(&at.key("baseline"), way, baseline)?),
            None => None,
        };
        let sides = PerSide::by(|side| {
            let written = match side {
                Side::Remote => given.remote.as_ref(),
                Side::Local => given.local.as_ref(),
            };
            let before = baseline.as_ref().map(|baseline| baseline.sides[side].clone());
            match written {
                Some(GivenRecord::Fields(fields)) => Some(value(fields)),
                Some(GivenRecord::Gone) => None,
                Some(GivenRecord::Same) if before.is_none() => {
                    self.wrong(
                        &at.key(side.name()),
                        "`same` means as in `baseline`, and there is none",
                    );
                    None
                }
                Some(GivenRecord::Same) | None => before,
            }
        });
        if sides.remote.is_none() && sides.local.is_none() {
            self.wrong(
                at,
                "neither `remote` nor `local` is there: a case is about a record",
            );
            return None;
        }
        let key = |side: Side| {
            let record = sides[side].as_ref();
            let before = baseline.as_ref().map(|baseline| &baseline.sides[side]);
            let key = &self.stream_of(way.streams[side]).key;
            [record, before]
                .into_iter()
                .flatten()
                .find_map(|record| key.one(record)?.key_text())
        };
        let linked = match given.linked.unwrap_or(baseline.is_some()) {
            false => None,
            true => match (key(Side::Remote), key(Side::Local)) {
                (Some(remote), Some(local)) => Some(PerSide { remote, local }),
                _ => {
                    self.wrong(
                        at,
                        "the two are linked: both need their keys, in the record or in `baseline`",
                    );
                    return None;
                }
            },
        };
        let chosen = given.chosen.iter().map(|(row, side)| {
            self.has_row(&at.key("chosen").itself(row), way, row);
            let side = match side {
                ChosenSide::Remote => Side::Remote,
                ChosenSide::Local => Side::Local,
            };
            (row.clone(), side)
        });
        Some(TestTask::TwoWay {
            chosen: chosen.collect(),
            sides,
            linked,
            baseline,
            publish: given.publish.unwrap_or_default(),
            expect: Box::new(expect),
        })
    }

    fn pair_baseline(&self, at: &Pointer, way: &TwoWay, baseline: &GivenBaseline) -> Option<TestBaseline> {
        self.refuse(
            at,
            "the flow goes both ways: its baseline is `remote` and `local`",
            &[("record", baseline.record.is_some())],
        );
        let (Some(remote), Some(local)) = (&baseline.remote, &baseline.local) else {
            self.wrong(
                at,
                "a baseline is both records: `remote` and `local` as they were in step",
            );
            return None;
        };
        let fallbacks = PerSide {
            remote: baseline.fallbacks.remote.clone().unwrap_or_default(),
            local: baseline.fallbacks.local.clone().unwrap_or_default(),
        };
        for side in Side::BOTH {
            for (position, row) in fallbacks[side].iter().enumerate() {
                let at = at.key("fallbacks").key(side.name()).index(position);
                self.has_row(&at, way, row);
            }
        }
        for (position, row) in baseline.held.iter().enumerate() {
            self.has_row(&at.key("held").index(position), way, row);
        }
        Some(TestBaseline {
            sides: PerSide {
                remote: value(remote),
                local: value(local),
            },
            fallbacks,
            held: baseline.held.clone(),
        })
    }

    /// Reports words that do not belong to the kind of flow.
    fn refuse(&self, at: &Pointer, why: &str, words: &[(&str, bool)]) -> bool {
        let mut fits = true;
        for (word, _) in words.iter().filter(|(_, there)| *there) {
            fits = false;
            self.wrong(&at.itself(word), why);
        }
        fits
    }

    pub(super) fn wrong(&self, at: &Pointer, why: &str) {
        self.checks
            .error(Code::WrongCase, at, |report| report.message(why.to_owned()));
    }
}

/// A record as rules read it.
pub(super) fn value(fields: &GivenFields) -> Value<'static> {
    Value::from(serde_json::Value::Object(fields.0.clone()))
}
