//! Intents, claims, cached lookups, fallbacks, budgets, sequences and runs.

use std::time::Duration;

use uuid::Uuid;

use super::{CASES, at, baseline, batch, item, run_number};
use crate::state::{
    Batch, BudgetDraw, BudgetRef, CachedLookup, Claim, CreateKey, Created, CursorPut, Fallback, Intent,
    LinkChange, QueueKind, RunEnd, RunStart, State,
};

fn intent(number: u128, create: Option<CreateKey>) -> Intent {
    Intent {
        id: run_number(number),
        pipeline: CASES.pipeline.to_owned(),
        flow: CASES.flow.to_owned(),
        connection: "crm".to_owned(),
        stream: "cases".to_owned(),
        operation: "create".to_owned(),
        key: None,
        source_key: "1".to_owned(),
        request: vec![0, 159, 146, 150],
        baseline: Some(baseline(3, 3)),
        pair: None,
        create,
        first_sent: at(5),
        job: None,
        run: run_number(1),
    }
}

fn contact(key: &str) -> CreateKey {
    CreateKey {
        connection: "crm".to_owned(),
        stream: "contacts".to_owned(),
        key: key.to_owned(),
    }
}

fn start(id: Uuid, pipeline: &str, second: i64) -> RunStart {
    RunStart {
        id,
        pipeline: pipeline.to_owned(),
        started: at(second),
        continues: None,
    }
}

pub(in crate::state) fn intents_are_open_until_settled(state: &dyn State) {
    let plain = intent(20, None);
    let creating = intent(10, Some(contact("ann@example.com")));
    state.put_intents(&[plain.clone(), creating.clone()]).unwrap();
    assert_eq!(
        state.open_intents(CASES.pipeline).unwrap(),
        [creating.clone(), plain.clone()]
    );
    assert!(state.open_intents("shop-crm").unwrap().is_empty());
    state.set_intent_job(&[plain.id], "job-7").unwrap();
    state
        .commit(&Batch {
            intents_settled: vec![creating.id],
            ..batch()
        })
        .unwrap();
    let left = Intent {
        job: Some("job-7".to_owned()),
        ..plain
    };
    assert_eq!(state.open_intents(CASES.pipeline).unwrap(), [left]);
    // An id stands for one request.
    assert!(state.put_intents(&[intent(20, None)]).is_err());
}

pub(in crate::state) fn a_key_is_claimed_once(state: &dyn State) {
    let keys = [contact("ann@example.com"), contact("bob@example.com")];
    let (mine, other) = (run_number(1), run_number(2));
    state.start_run(&start(mine, "one", 0)).unwrap();
    state.start_run(&start(other, "two", 0)).unwrap();
    let claim = |pipeline, run, keys: &[CreateKey]| state.claim_creates(pipeline, run, keys, at(0)).unwrap();
    assert_eq!(claim("one", mine, &keys), [Claim::Won, Claim::Won]);
    let busy = claim("two", other, &keys);
    assert!(matches!(busy[..], [Claim::Busy { run, .. }, _] if run == mine));
    state.release_creates(mine, &keys[1..]).unwrap();
    assert_eq!(claim("two", other, &keys[1..]), [Claim::Won]);
    // Nobody gives back what is another's.
    state.release_creates(mine, &keys[1..]).unwrap();
    assert!(matches!(
        claim("one", mine, &keys[1..])[..],
        [Claim::Busy { run, .. }] if run == other
    ));
}

pub(in crate::state) fn claims_of_dead_runs_are_taken_over(state: &dyn State) {
    let keys = [contact("sent@example.com"), contact("unsent@example.com")];
    let (dead, next, other) = (run_number(1), run_number(2), run_number(3));
    state.start_run(&start(dead, CASES.pipeline, 0)).unwrap();
    state.claim_creates(CASES.pipeline, dead, &keys, at(0)).unwrap();
    state.put_intents(&[intent(10, Some(keys[0].clone()))]).unwrap();
    // The process dies. Its request may have been answered: nobody creates that record before the intent is settled.
    state.start_run(&start(next, CASES.pipeline, 60)).unwrap();
    let claims = state.claim_creates(CASES.pipeline, next, &keys, at(0)).unwrap();
    assert!(matches!(claims[..], [Claim::Busy { run, .. }, Claim::Won] if run == dead));
    // Not even when the claim is given back.
    state.release_creates(dead, &keys[..1]).unwrap();
    let claims = state
        .claim_creates(CASES.pipeline, next, &keys[..1], at(0))
        .unwrap();
    assert!(matches!(claims[..], [Claim::Busy { run, .. }] if run == dead));
    state
        .commit(&Batch {
            intents_settled: vec![run_number(10)],
            created: vec![Created {
                claim: keys[0].clone(),
                key: "c1".to_owned(),
            }],
            ..batch()
        })
        .unwrap();
    let claims = state.claim_creates("other", other, &keys[..1], at(0)).unwrap();
    assert_eq!(claims, [Claim::Created("c1".to_owned())]);
    // A run of another pipeline that has ended holds nothing either.
    state
        .end_run(&RunEnd {
            id: next,
            ended: at(70),
            ending: "complete".to_owned(),
            counts: "{}".to_owned(),
        })
        .unwrap();
    let claims = state.claim_creates("other", other, &keys[1..], at(0)).unwrap();
    assert_eq!(claims, [Claim::Won]);
}

pub(in crate::state) fn creations_are_believed_for_a_while(state: &dyn State) {
    let key = contact("ann@example.com");
    state
        .commit(&Batch {
            created: vec![Created {
                claim: key.clone(),
                key: "c1".to_owned(),
            }],
            ..batch()
        })
        .unwrap();
    let claim = |believe_after| {
        state
            .claim_creates(
                CASES.pipeline,
                run_number(2),
                std::slice::from_ref(&key),
                believe_after,
            )
            .unwrap()
    };
    assert_eq!(claim(at(0)), [Claim::Created("c1".to_owned())]);
    assert_eq!(claim(at(1)), [Claim::Won]);
}

pub(in crate::state) fn cached_lookups_expire(state: &dyn State) {
    let answer = |key: &str, found: Option<&str>, second| CachedLookup {
        key: key.to_owned(),
        found: found.map(str::to_owned),
        expires: at(second),
    };
    let answers = [answer("ann", Some("[]"), 100), answer("bob", None, 10)];
    state.put_cached_lookups("scope", "person", &answers).unwrap();
    let cached = |scope, now| {
        state
            .cached_lookups(scope, "person", &["ann", "bob", "cid"], at(now))
            .unwrap()
    };
    assert_eq!(cached("scope", 9).len(), 2);
    assert_eq!(cached("scope", 9)["bob"], answers[1]);
    assert!(cached("changed pipeline", 9).is_empty());
    let later = cached("scope", 10);
    assert_eq!(later.len(), 1);
    assert_eq!(later["ann"], answers[0]);
    assert_eq!(state.expire_cached_lookups(at(10)).unwrap(), 1);
    assert_eq!(cached("scope", 9).len(), 1);
}

pub(in crate::state) fn fallbacks_are_replaced_per_record(state: &dyn State) {
    let fallback = |source: &str, row: &str, key: &str| Fallback {
        source: source.to_owned(),
        row: row.to_owned(),
        to: None,
        lookup: "user".to_owned(),
        key: key.to_owned(),
    };
    let commit = |fallbacks_of: &[&str], fallbacks: Vec<Fallback>| {
        state
            .commit(&Batch {
                fallbacks_of: fallbacks_of.iter().map(|&key| key.to_owned()).collect(),
                fallbacks,
                ..batch()
            })
            .unwrap();
    };
    commit(
        &["1", "2"],
        vec![
            fallback("1", "owner", "ann"),
            fallback("1", "assignee", "ann"),
            fallback("2", "owner", "bob"),
        ],
    );
    commit(&["1"], vec![fallback("1", "owner", "cid")]);
    assert_eq!(
        state.fallbacks(CASES).unwrap(),
        [fallback("2", "owner", "bob"), fallback("1", "owner", "cid")]
    );
}

pub(in crate::state) fn budgets_are_shared(state: &dyn State) {
    let budget = BudgetRef {
        connection: "crm",
        limit: "account",
    };
    let draw = |want, second| {
        state
            .draw_budget(&BudgetDraw {
                budget,
                capacity: 10,
                per: Duration::from_secs(10),
                want,
                now: at(second),
            })
            .unwrap()
    };
    assert_eq!(draw(4, 0).granted, 4);
    assert_eq!(draw(10, 0).granted, 6);
    assert_eq!(draw(10, 0).granted, 0);
    assert_eq!(draw(10, 5).granted, 5);
    state.pause_budget(budget, at(60)).unwrap();
    state.pause_budget(budget, at(50)).unwrap();
    assert_eq!(draw(1, 55).ask_again, Some(at(60)));
    assert_eq!(draw(1, 60).granted, 1);
    state.correct_budget(budget, 2, at(60)).unwrap();
    assert_eq!(draw(10, 60).granted, 2);
    state.correct_budget(budget, 8, at(60)).unwrap();
    assert_eq!(draw(10, 60).granted, 0);
}

pub(in crate::state) fn sequences_only_grow(state: &dyn State) {
    assert_eq!(state.next_sequence(1).unwrap(), 1);
    assert_eq!(state.next_sequence(100).unwrap(), 2);
    assert_eq!(state.next_sequence(1).unwrap(), 102);
    assert_eq!(state.digest_key(), state.digest_key());
    assert_ne!(state.digest_key(), [0; 32]);
}

pub(in crate::state) fn runs_are_remembered(state: &dyn State) {
    let first = start(run_number(1), CASES.pipeline, 0);
    let second = RunStart {
        continues: Some(run_number(1)),
        ..start(run_number(2), CASES.pipeline, 60)
    };
    state.start_run(&first).unwrap();
    state.start_run(&second).unwrap();
    let end = RunEnd {
        id: second.id,
        ended: at(90),
        ending: "complete".to_owned(),
        counts: r#"{"read":3}"#.to_owned(),
    };
    state.end_run(&end).unwrap();
    let runs = state.runs(CASES.pipeline, 10).unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!((&runs[0].start, runs[0].end.as_ref()), (&second, Some(&end)));
    assert_eq!((&runs[1].start, runs[1].end.as_ref()), (&first, None));
    assert_eq!(state.runs(CASES.pipeline, 1).unwrap().len(), 1);
    assert!(state.runs("shop-crm", 10).unwrap().is_empty());
}

pub(in crate::state) fn status_counts(state: &dyn State) {
    state
        .commit(&Batch {
            links: vec![
                LinkChange::Put {
                    source: "1".to_owned(),
                    target: "a".to_owned(),
                },
                LinkChange::Put {
                    source: "2".to_owned(),
                    target: "b".to_owned(),
                },
                LinkChange::End {
                    source: "2".to_owned(),
                },
            ],
            queue_put: vec![
                item(QueueKind::Rejected, "3", 1),
                item(QueueKind::Waiting, "4", 1),
                item(QueueKind::Waiting, "5", 1),
            ],
            cursors: vec![CursorPut {
                stream: "helpdesk.tickets".to_owned(),
                cursor: "{}".to_owned(),
                selection: "s".to_owned(),
            }],
            ..batch()
        })
        .unwrap();
    state.put_intents(&[intent(10, None)]).unwrap();
    let status = state.status(CASES.pipeline).unwrap();
    assert_eq!(status.open_intents, 1);
    assert_eq!(status.last_run, None);
    let [cases] = &status.flows[..] else {
        panic!("one flow expected: {status:?}");
    };
    assert_eq!((cases.links, cases.tombstones), (1, 1));
    assert_eq!((cases.rejected, cases.held, cases.waiting), (1, 0, 2));
    assert_eq!(cases.oldest, Some(at(10)));
    assert_eq!(cases.cursors[0].0, "helpdesk.tickets");
}
