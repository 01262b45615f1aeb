//! The back office.

use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{Bench, options};

fn a_case(subject: &str) -> Value {
    json!({"data": {"type": "cases", "attributes": {"subject": subject, "externalId": "zd:1"}, "relationships": {
        "source": {"data": {"type": "casesources", "id": "other"}},
        "status": {"data": {"type": "casestatuses", "id": "open"}},
        "priority": {"data": {"type": "casepriorities", "id": "normal"}},
        "relatedContact": {"data": {"type": "contacts", "id": "3"}},
    }}})
}

fn problem(answer: &super::harness::Answer) -> (&str, &str) {
    let error = &answer.body["errors"][0];
    let source = error["source"]
        .as_object()
        .and_then(|source| source.values().next());
    (
        error["title"].as_str().unwrap_or(""),
        source.and_then(Value::as_str).unwrap_or(""),
    )
}

#[tokio::test]
async fn tokens_are_needed_and_expire() {
    let bench = Bench::start(options()).await;
    let nobody = bench
        .send(
            "oro",
            Method::GET,
            "/admin/api/cases",
            &[("accept", "application/vnd.api+json")],
            None,
        )
        .await;
    assert_eq!(nobody.status, 401);
    assert_eq!(bench.oro(Method::GET, "/casestatuses", None).await.status, 200);
    bench
        .control("oro", Method::POST, "expire_tokens", json!({}))
        .await;
    assert_eq!(bench.oro(Method::GET, "/casestatuses", None).await.status, 401);
    let wrong = json!({"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "x"});
    let refused = bench
        .send("oro", Method::POST, "/oauth2-token", &[], Some(&wrong))
        .await;
    assert_eq!(
        (refused.status, refused.body["error"].as_str()),
        (401, Some("invalid_client"))
    );
    let storefront = bench.send("oro", Method::GET, "/api/cases", &[], None).await;
    assert_eq!(storefront.status, 404);
}

#[tokio::test]
async fn only_the_exact_media_type_gets_json_api() {
    let bench = Bench::start(options()).await;
    for media_type in [
        "application/json",
        "application/vnd.api+json; charset=utf-8",
        "*/*",
    ] {
        let refused = bench
            .oro_as(Method::GET, "/cases?page[size]=5", media_type, None)
            .await;
        assert_eq!(refused.status, 400);
        assert_eq!(
            refused.body[0]["detail"],
            "Filter \"page[size]\" is not supported."
        );
        let refused = bench
            .oro_as(Method::POST, "/cases", media_type, Some(&a_case("x")))
            .await;
        assert_eq!(
            (refused.status, refused.body[0]["title"].as_str()),
            (400, Some("extra fields constraint"))
        );
    }
}

#[tokio::test]
async fn lists_page_filter_and_include() {
    let bench = Bench::start(options()).await;
    let page = bench.oro(Method::GET, "/contacts", None).await;
    assert_eq!(page.body["data"].as_array().unwrap().len(), 10);
    assert!(page.header("x-include-total-count").parse::<usize>().unwrap() > 10);
    let all = bench
        .oro(Method::GET, "/contacts?page[size]=-1&sort=id", None)
        .await;
    let mut last = 0;
    let mut count = 0;
    loop {
        let path = format!("/contacts?sort=id&page[size]=7&filter[id][gt]={last}");
        let page = bench.oro(Method::GET, &path, None).await;
        let rows = page.body["data"].as_array().unwrap();
        let Some(row) = rows.last() else { break };
        count += rows.len();
        last = row["id"].as_str().unwrap().parse().unwrap();
    }
    assert_eq!(count, all.body["data"].as_array().unwrap().len());

    let found = bench
        .oro(
            Method::GET,
            "/contacts?filter[emails]=x@example.net,alex.miller%2Bshop@example.net",
            None,
        )
        .await;
    assert_eq!(found.body["data"][0]["id"], "5");
    let found = bench
        .oro(
            Method::GET,
            "/contacts?filter[primaryEmail]=Jim.Smith@Example.com",
            None,
        )
        .await;
    assert_eq!(found.body["data"], json!([]), "letter by letter");
    let found = bench
        .oro(
            Method::GET,
            "/contacts?filter[primaryEmail]=a@example.net,jim.smith@example.com",
            None,
        )
        .await;
    assert_eq!(found.body["data"], json!([]), "a comma is part of the value here");
    let path = "/cases?filter[id]=21,22&include=owner,relatedContact&fields[users]=email&fields[cases]=subject,owner,updatedAt";
    let cases = bench.oro(Method::GET, path, None).await;
    assert_eq!(cases.body["data"].as_array().unwrap().len(), 2);
    let attributes: Vec<&String> = cases.body["data"][0]["attributes"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(attributes, ["subject", "updatedAt"]);
    let user = cases.body["included"]
        .as_array()
        .unwrap()
        .iter()
        .find(|resource| resource["type"] == "users")
        .unwrap();
    assert_eq!(user["attributes"].as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_stock_system_cannot_do_is_refused() {
    let bench = Bench::start(options()).await;
    for (path, title, parameter) in [
        (
            "/cases?filter[updatedAt][gte]=2025-01-01",
            "filter constraint",
            "filter[updatedAt][gte]",
        ),
        ("/cases?filter[subject]=x", "filter constraint", "filter[subject]"),
        (
            "/cases?filter[externalId][gt]=x",
            "filter constraint",
            "filter[externalId][gt]",
        ),
        ("/cases?filter[id]=one", "filter constraint", "filter[id]"),
        ("/cases?sort=updatedAt", "sort constraint", "sort"),
        ("/cases?limit=5", "filter constraint", "limit"),
        (
            "/casecomments?filter[createdAt]=2025-01-01",
            "filter constraint",
            "filter[createdAt]",
        ),
    ] {
        let refused = bench.oro(Method::GET, path, None).await;
        assert_eq!(refused.status, 400, "{path}");
        assert_eq!(problem(&refused), (title, parameter));
    }
    let found = bench
        .oro(
            Method::GET,
            "/contacts?filter[updatedAt][gte]=2024-01-01&sort=updatedAt,id",
            None,
        )
        .await;
    assert_eq!(found.status, 200);
    assert_eq!(bench.oro(Method::GET, "/nothing", None).await.status, 404);
    assert_eq!(bench.oro(Method::GET, "/cases/999999", None).await.status, 404);
    assert_eq!(
        bench
            .oro(Method::POST, "/casestatuses", Some(&json!({})))
            .await
            .status,
        405
    );
}

#[tokio::test]
async fn cases_are_created_and_changed_by_the_rules() {
    let bench = Bench::start(options()).await;
    let created = bench
        .oro(Method::POST, "/cases", Some(&a_case("Printer on fire")))
        .await;
    assert_eq!(created.status, 201, "{}", created.text);
    let case = &created.body["data"];
    assert_eq!(case["attributes"]["updatedAt"], Value::Null);
    assert_eq!(case["relationships"]["owner"]["data"]["id"], "1");
    let id = case["id"].as_str().unwrap();
    let path = format!("/cases/{id}");
    let unchanged =
        json!({"data": {"type": "cases", "id": id, "attributes": {"subject": "Printer on fire"}}});
    let answer = bench.oro(Method::PATCH, &path, Some(&unchanged)).await;
    assert_eq!(
        (answer.status, &answer.body["data"]["attributes"]["updatedAt"]),
        (200, &Value::Null)
    );
    let close = json!({"data": {"type": "cases", "id": id, "relationships": {"status": {"data": {"type": "casestatuses", "id": "closed"}}}}});
    let closed = bench.oro(Method::PATCH, &path, Some(&close)).await;
    assert_eq!(closed.body["data"]["attributes"]["subject"], "Printer on fire");
    assert!(closed.body["data"]["attributes"]["updatedAt"].is_string());
    assert!(closed.body["data"]["attributes"]["closedAt"].is_string());
    let taken = bench.oro(Method::POST, "/cases", Some(&a_case("Another"))).await;
    assert_eq!(
        (taken.status, problem(&taken).1),
        (400, "/data/attributes/externalId")
    );
    let found = bench
        .oro(Method::GET, "/cases?filter[externalId]=zd:0,zd:1", None)
        .await;
    assert_eq!(found.body["data"][0]["id"].as_str(), Some(id));

    let comment = json!({"data": {"type": "casecomments", "attributes": {"message": "Hello"}, "relationships": {"case": {"data": {"type": "cases", "id": id}}}}});
    let commented = bench.oro(Method::POST, "/casecomments", Some(&comment)).await;
    assert_eq!(commented.body["data"]["attributes"]["public"], false);
    assert_eq!(bench.oro(Method::DELETE, &path, None).await.status, 204);
    assert_eq!(bench.oro(Method::GET, &path, None).await.status, 404);
    let comment = format!("/casecomments/{}", commented.body["data"]["id"].as_str().unwrap());
    assert_eq!(bench.oro(Method::GET, &comment, None).await.status, 404);
    let next = bench.oro(Method::POST, "/cases", Some(&a_case("After"))).await;
    assert_ne!(next.body["data"]["id"].as_str(), Some(id), "ids do not return");
}

#[tokio::test]
async fn refusals_point_at_what_is_wrong() {
    let bench = Bench::start(options()).await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut case = a_case("Fine");
        change(&mut case["data"]);
        case
    };
    let cases: Vec<(Value, u16, &str, &str)> = vec![
        (
            with(&|data| data["attributes"]["subject"] = json!("  ")),
            400,
            "not blank constraint",
            "/data/attributes/subject",
        ),
        (
            with(&|data| data["attributes"]["subject"] = json!("ü".repeat(256))),
            400,
            "length constraint",
            "/data/attributes/subject",
        ),
        (
            with(&|data| data["attributes"]["subject"] = json!({"a": 1})),
            400,
            "form constraint",
            "/data/attributes/subject",
        ),
        (
            with(&|data| data["attributes"]["externalId"] = json!("x".repeat(37))),
            400,
            "length constraint",
            "/data/attributes/externalId",
        ),
        (
            with(&|data| data["attributes"]["colour"] = json!("red")),
            400,
            "extra fields constraint",
            "",
        ),
        (
            with(&|data| data["relationships"]["status"]["data"]["id"] = json!("hold")),
            400,
            "form constraint",
            "/data/relationships/status/data",
        ),
        (
            with(&|data| data["relationships"]["status"] = json!({"data": null})),
            400,
            "not null constraint",
            "/data/relationships/status/data",
        ),
        (
            with(&|data| {
                data["relationships"]["assignedTo"] = json!({"data": {"type": "users", "id": "4711"}})
            }),
            400,
            "form constraint",
            "/data/relationships/assignedTo/data",
        ),
        (
            with(&|data| data["type"] = json!("contacts")),
            409,
            "conflict constraint",
            "/data/type",
        ),
    ];
    for (body, status, title, pointer) in cases {
        let refused = bench.oro(Method::POST, "/cases", Some(&body)).await;
        assert_eq!(refused.status, status, "{}", refused.text);
        assert_eq!(problem(&refused), (title, pointer));
        assert_eq!(refused.body["errors"][0]["status"], status.to_string());
    }
    let other = json!({"data": {"type": "cases", "id": "23", "attributes": {"subject": "x"}}});
    let refused = bench.oro(Method::PATCH, "/cases/22", Some(&other)).await;
    assert_eq!((refused.status, problem(&refused).1), (409, "/data/id"));
    let nameless = json!({"data": {"type": "contacts", "attributes": {"description": "nobody"}}});
    assert_eq!(
        bench.oro(Method::POST, "/contacts", Some(&nameless)).await.status,
        400
    );
}

#[tokio::test]
async fn contacts_replace_their_addresses() {
    let bench = Bench::start(options()).await;
    let contact = json!({"data": {"type": "contacts", "attributes": {"firstName": "Jo", "primaryEmail": "jo@example.net"}}});
    let created = bench.oro(Method::POST, "/contacts", Some(&contact)).await;
    assert_eq!(
        created.body["data"]["attributes"]["emails"],
        json!([{"email": "jo@example.net"}])
    );
    assert!(created.body["data"]["attributes"]["updatedAt"].is_string());
    let id = created.body["data"]["id"].as_str().unwrap();
    let change = json!({"data": {"type": "contacts", "id": id, "attributes": {"emails": [{"email": "b@example.net"}, {"email": "c@example.net"}]}}});
    let changed = bench
        .oro(Method::PATCH, &format!("/contacts/{id}"), Some(&change))
        .await;
    let attributes = &changed.body["data"]["attributes"];
    assert_eq!(attributes["primaryEmail"], "b@example.net");
    assert_eq!(attributes["emails"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn related_resources_come_along_all_or_nothing() {
    let bench = Bench::start(options()).await;
    let mut body = a_case("With company");
    body["data"]["relationships"]["relatedContact"] =
        json!({"data": {"type": "contacts", "id": "new_contact"}});
    body["included"] = json!([{"type": "contacts", "id": "new_contact", "attributes": {"firstName": "Jim", "primaryEmail": "jim@example.net"}}]);
    let mut wrong = body.clone();
    wrong["data"]["attributes"]["subject"] = json!("");
    let count = || async {
        let list = bench.oro(Method::GET, "/contacts?page[size]=1", None).await;
        list.header("x-include-total-count").to_owned()
    };
    let before = count().await;
    let refused = bench.oro(Method::POST, "/cases", Some(&wrong)).await;
    assert_eq!(
        (refused.status, problem(&refused).1),
        (400, "/data/attributes/subject")
    );
    assert_eq!(count().await, before);
    let created = bench.oro(Method::POST, "/cases", Some(&body)).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let contact = &created.body["included"][0];
    assert_eq!(contact["meta"]["includeId"], "new_contact");
    assert_eq!(
        created.body["data"]["relationships"]["relatedContact"]["data"]["id"],
        contact["id"]
    );
    wrong["data"]["attributes"]["subject"] = json!("fine");
    wrong["data"]["attributes"]["externalId"] = json!("zd:2");
    wrong["included"][0]["attributes"]["colour"] = json!("red");
    wrong["included"][0]["attributes"]["firstName"] = json!(5);
    let refused = bench.oro(Method::POST, "/cases", Some(&wrong)).await;
    assert_eq!(problem(&refused).1, "/included/0/attributes/firstName");
}

#[tokio::test]
async fn a_list_that_is_sent_replaces_the_one_that_was() {
    let bench = Bench::start(options()).await;
    let comment = |case: &str| json!({"data": {"type": "casecomments", "attributes": {"message": "Hello"}, "relationships": {"case": {"data": {"type": "cases", "id": case}}}}});
    let first = bench
        .oro(Method::POST, "/casecomments", Some(&comment("22")))
        .await
        .body["data"]["id"]
        .clone();
    let second = bench
        .oro(Method::POST, "/casecomments", Some(&comment("22")))
        .await
        .body["data"]["id"]
        .clone();
    let case = bench
        .oro(
            Method::GET,
            "/cases/22?include=comments&fields[cases]=comments",
            None,
        )
        .await;
    assert_eq!(
        case.body["data"]["relationships"]["comments"]["data"][0]["id"], second,
        "newest first"
    );
    let change = json!({"data": {"type": "cases", "id": "22", "relationships": {"comments": {"data": [{"type": "casecomments", "id": second}]}}}});
    let changed = bench.oro(Method::PATCH, "/cases/22", Some(&change)).await;
    assert_eq!(
        changed.body["data"]["relationships"]["comments"]["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let gone = bench
        .oro(
            Method::GET,
            &format!("/casecomments/{}", first.as_str().unwrap()),
            None,
        )
        .await;
    assert_eq!(gone.status, 404);
}
