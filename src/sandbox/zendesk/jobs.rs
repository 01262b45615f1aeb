//! Bulk work: accepted at once, reported by a job status that has to be polled.
//!
//! A job is `completed` although items of it failed; results come in another order than the items, as nothing promises
//! one. The work itself is done when the job is accepted; its results show from the third poll on.

use serde_json::{Map, Value, json};

use super::super::activity::Moment;
use super::super::message::{Request, Response};
use super::body::invalid_attribute;
use super::model::Job;
use super::tickets::ids;
use super::{Zendesk, errors};

/// Jobs that may be under way at a time.
const MOST_JOBS: usize = 30;
/// A job is over after this many polls.
const POLLS: u32 = 2;
/// Or after this many seconds.
const SECONDS: i64 = 60;
/// A job is forgotten after this many seconds.
const KEPT_SECONDS: i64 = 86_400;

impl Zendesk {
    /// `POST /tickets/create_many`.
    pub(super) fn create_many_tickets(&mut self, request: &Request) -> Response {
        let items = match self.items(request) {
            Ok(items) => items,
            Err(refusal) => return *refusal,
        };
        let results = items
            .iter()
            .enumerate()
            .map(|(index, fields)| match self.create(fields) {
                Ok((id, _)) => {
                    self.fire(Moment::After, id);
                    json!({ "index": index, "id": id, "account_id": 360_001 })
                }
                Err(refusal) => failed(index, None, "TicketCreateFailed", &refusal),
            })
            .collect();
        self.accept(request, "Bulk Create Ticket", items.len(), results)
    }

    /// `PUT /tickets/update_many`: one change for `ids`, or `tickets` with a change each.
    pub(super) fn update_many_tickets(&mut self, request: &Request) -> Response {
        let items: Vec<Map<String, Value>> = if request.parameter("ids").is_some() {
            let wanted = match ids(request, "ids") {
                Ok(wanted) => wanted,
                Err(refusal) => return *refusal,
            };
            let Some(Value::Object(fields)) = request.json().and_then(|body| body.get("ticket").cloned())
            else {
                return invalid_attribute("ticket");
            };
            wanted
                .into_iter()
                .map(|id| {
                    let mut fields = fields.clone();
                    fields.insert("id".to_owned(), json!(id.parse::<u64>().unwrap_or_default()));
                    fields
                })
                .collect()
        } else {
            match self.items(request) {
                Ok(items) => items,
                Err(refusal) => return *refusal,
            }
        };
        let results = items
            .iter()
            .enumerate()
            .map(|(index, fields)| {
                let id = fields.get("id").and_then(Value::as_u64).unwrap_or_default();
                let counted = self.count_item(id);
                match counted.and_then(|()| self.update(id, fields)) {
                    Ok(_) => {
                        self.fire(Moment::After, id);
                        json!({ "index": index, "id": id, "action": "update", "status": "Updated", "success": true })
                    }
                    Err(refusal) => failed(index, Some(id), "TicketUpdateFailed", &refusal),
                }
            })
            .collect();
        self.accept(request, "Bulk Update Ticket", items.len(), results)
    }

    /// `GET /job_statuses/{id}`.
    pub(super) fn show_job(&mut self, request: &Request, id: &str) -> Response {
        let now = self.clock.second();
        let Some(document) = self.poll(&request.base(), id, now) else {
            return errors::record_not_found();
        };
        Response::json(200, &json!({ "job_status": document }))
    }

    /// `GET /job_statuses/show_many`.
    pub(super) fn show_many_jobs(&mut self, request: &Request) -> Response {
        let wanted: Vec<String> = match ids(request, "ids") {
            Ok(wanted) => wanted.into_iter().map(str::to_owned).collect(),
            Err(refusal) => return *refusal,
        };
        let now = self.clock.second();
        let base = request.base();
        let documents: Vec<Value> = wanted.iter().filter_map(|id| self.poll(&base, id, now)).collect();
        Response::json(
            200,
            &json!({ "job_statuses": documents, "count": documents.len() }),
        )
    }

    /// Counts a look at a job and renders it.
    fn poll(&mut self, base: &str, id: &str, now: i64) -> Option<Value> {
        let number = self
            .state
            .jobs
            .iter()
            .find(|(_, job)| job.id == id && now - job.created_at.as_second() < KEPT_SECONDS)
            .map(|(number, _)| number)?;
        let job = self.state.jobs.edit(number)?;
        job.polls = job.polls.saturating_add(1);
        Some(job.document(base, now))
    }

    /// The items of a bulk request, refused when there are too many.
    fn items(&self, request: &Request) -> Result<Vec<Map<String, Value>>, Box<Response>> {
        let body = request.json();
        let Some(items) = body.as_ref().and_then(|body| body.get("tickets")?.as_array()) else {
            return Err(Box::new(invalid_attribute("tickets")));
        };
        if items.len() > 100 {
            return Err(Box::new(errors::too_many_values()));
        }
        let now = self.clock.second();
        let running = self.state.jobs.values().filter(|job| !job.is_over(now)).count();
        if running >= MOST_JOBS {
            return Err(Box::new(
                errors::plain(
                    429,
                    "TooManyJobs",
                    "Number of queued jobs exceeded, please try again later",
                )
                .header("retry-after", 30),
            ));
        }
        Ok(items.iter().filter_map(Value::as_object).cloned().collect())
    }

    fn accept(
        &mut self,
        request: &Request,
        job_type: &str,
        total: usize,
        mut results: Vec<Value>,
    ) -> Response {
        results.reverse();
        let number = self.state.jobs.next_id();
        let job = Job {
            id: format!("V3-{number:032x}"),
            job_type: job_type.to_owned(),
            total,
            created_at: self.clock.now(),
            polls: 0,
            results,
        };
        let document = job.document(&request.base(), self.clock.second());
        self.state.jobs.insert(number, job);
        Response::json(200, &json!({ "job_status": document }))
    }
}

impl Job {
    fn is_over(&self, now: i64) -> bool {
        self.polls > POLLS || now - self.created_at.as_second() >= SECONDS
    }

    fn document(&self, base: &str, now: i64) -> Value {
        let is_over = self.is_over(now);
        let status = match self.polls {
            _ if is_over => "completed",
            0 | 1 => "queued",
            _ => "working",
        };
        json!({
            "id": self.id,
            "url": format!("{base}/api/v2/job_statuses/{}.json", self.id),
            "status": status,
            "job_type": self.job_type,
            "total": self.total,
            "progress": if is_over { json!(self.total) } else { Value::Null },
            "message": is_over.then(|| format!("Completed at {}", self.created_at)),
            "results": if is_over { json!(self.results) } else { Value::Null },
        })
    }
}

/// An item's failure, with the refusal's field messages in one text, as job results have them.
fn failed(index: usize, id: Option<u64>, code: &str, refusal: &Response) -> Value {
    let body: Value = serde_json::from_slice(&refusal.body).unwrap_or_default();
    let messages: Vec<&str> = body
        .get("details")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|details| details.values())
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|problem| problem.get("description")?.as_str())
        .collect();
    let (error, details) = if messages.is_empty() {
        let error = body.get("error").and_then(Value::as_str).unwrap_or(code);
        let description = body.get("description").and_then(Value::as_str);
        (error.to_owned(), description.unwrap_or_default().to_owned())
    } else {
        (code.to_owned(), messages.join(", "))
    };
    let mut result = json!({ "index": index, "error": error, "details": details });
    if let Some(id) = id {
        result["id"] = json!(id);
    }
    result
}
