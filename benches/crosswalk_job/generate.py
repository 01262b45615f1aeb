#!/usr/bin/env python3
"""Makes the input of the crosswalk job: tickets, people and agents as newline-delimited JSON. Standard library only.

    generate.py DIRECTORY [--tickets 100000] [--people 20000] [--seed 11]

The same arguments give the same bytes on every machine, and the first tickets do not depend on how many follow.
Tickets look like a helpdesk's export: about two and a half kilobytes, of which a rule reads a quarter.
"""

import argparse
import json
import random
from datetime import datetime, timedelta, timezone
from multiprocessing import Pool
from pathlib import Path

BLOCK = 5_000
START = datetime(2023, 1, 1, tzinfo=timezone.utc)
STATES = ["new", "open", "pending", "hold", "solved", "closed"]
STATE_WEIGHTS = [4, 13, 11, 4, 18, 50]
PRIORITIES = ["low", "normal", "high", "urgent", None]
PRIORITY_WEIGHTS = [14, 46, 14, 6, 20]
COMMON = (
    "the a to and of we is it in our for on this with that from your order account invoice export report login "
    "payment customer delivery address update error page button please thanks hello regards support team cannot "
    "working since yesterday after before system website integration attached screenshot again still missing wrong"
).split()
FOREIGN = ["café", "Grüße", "naïve", "東京", "注文", "Привет", "Ελλάδα", "مرحبا", "🙂", "✓", "€", "„Zitat“"]
DOMAINS = ["example.com", "Example.ORG", "mail.example.net", "Contoso.example", "fabrikam.example"]
OPTIONS = ["", "choice_one", "choice_two", "2024-05-01", "true", "417", "free text of a person"]


def vocabulary():
    """The common words and some two thousand made-up ones, commonest first."""
    generator = random.Random("words")
    syllables = ["ka", "lo", "mi", "ter", "san", "vor", "ne", "du", "pri", "stel", "ga", "hin", "oo", "quar", "ble"]
    made = {"".join(generator.choices(syllables, k=generator.randint(2, 4))) for _ in range(2500)}
    return COMMON + sorted(made)


WORDS = vocabulary()
WEIGHTS = [1 / (rank + 4) for rank in range(len(WORDS))]
TOTALS = [sum(WEIGHTS[: end + 1]) for end in range(len(WEIGHTS))]


def prose(generator, length):
    """About that many characters of sentences with quotes, line ends, links and letters of many scripts."""
    parts, written = [], 0
    while written < length:
        words = generator.choices(WORDS, cum_weights=TOTALS, k=generator.randint(5, 15))
        oddity = generator.random()
        if oddity < 0.15:
            words.append(generator.choice(FOREIGN))
        elif oddity < 0.22:
            words.append('"' + generator.choice(WORDS) + '"')
        elif oddity < 0.26:
            words.append(f"<a href='https://shop.example/o/{generator.randrange(10**9)}?x=1&y=2'>link</a>")
        elif oddity < 0.28:
            words.append("C:\\logs\\today.txt\t")
        sentence = " ".join(words).capitalize() + generator.choice([". ", ". ", "? ", "!\n", ".\r\n\r\n"])
        parts.append(sentence)
        written += len(sentence)
    return "".join(parts)[:length].strip() or "?"


def spelled(generator, address):
    """One of the ways in which people write an address."""
    return generator.choice([address, address, address.upper(), address.capitalize(), address.title()])


def people_and_agents(count, seed):
    generator = random.Random(f"{seed}/people")
    people, agents = [], [{"id": 1, "username": "owner", "email": "owner@office.example", "enabled": True}]
    for number in range(count):
        first, last = generator.choice(WORDS), generator.choice(WORDS)
        address = f"{first}.{last}.{number}@{generator.choice(DOMAINS)}"
        has_none = generator.random() < 0.01
        people.append({
            "id": 9_000_000_000 + number * 131,
            "name": f"{first.title()} {last.title()}",
            "email": None if has_none else spelled(generator, address),
            "role": "agent" if number < count // 30 else "end-user",
        })
        if not has_none and generator.random() < 0.7:
            agents.append({
                "id": len(agents) + 1,
                "username": f"{first}.{number}",
                "email": spelled(generator, address.lower()),
                "enabled": True,
            })
    return people, agents


def text(value):
    """JSON as many web frameworks write it: letters as they are, what HTML minds escaped."""
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def ticket(generator, number, people, agents):
    created = START + timedelta(seconds=number * 71 + generator.randrange(60))
    updated = created + timedelta(seconds=int(generator.expovariate(1 / 90_000)))
    subject = None if generator.random() < 0.003 else prose(generator, generator.randint(15, 80)).replace("\n", " ")
    requester = generator.choice(people)["id"]
    unknown = generator.random() < 0.002
    copied = [generator.choice(people)["id"] for _ in range(generator.choice([0, 0, 0, 1, 3]))]
    state = generator.choices(STATES, STATE_WEIGHTS)[0]
    return {
        "url": f"https://helpdesk.example/api/tickets/{number}.json",
        "id": number,
        "external_id": f"web-{number}" if generator.random() < 0.2 else None,
        "via": {"channel": "email", "source": {"from": {"address": f"c{number % 9973}@example.com", "name": "A client"},
                                               "to": {"name": "Support", "address": "support@helpdesk.example"}, "rel": None}},
        "created_at": stamp(created),
        "updated_at": stamp(updated),
        "type": generator.choice(["question", "incident", "problem", "task", None]),
        "subject": subject,
        "raw_subject": subject,
        "description": prose(generator, max(80, min(2400, int(generator.lognormvariate(6.2, 0.7))))),
        "priority": generator.choices(PRIORITIES, PRIORITY_WEIGHTS)[0],
        "status": state,
        "recipient": "support@helpdesk.example",
        "requester_id": 1 if unknown else requester,
        "submitter_id": requester,
        "assignee_id": None if generator.random() < 0.12 else generator.choice(agents)["id"],
        "organization_id": 7_000_000_000 + generator.randrange(3000) if generator.random() < 0.6 else None,
        "group_id": 6_000_000_000 + generator.randrange(40),
        "collaborator_ids": copied,
        "follower_ids": [],
        "email_cc_ids": copied,
        "problem_id": None,
        "has_incidents": False,
        "is_public": True,
        "due_at": None,
        "tags": sorted(generator.sample(COMMON, generator.randint(0, 5))),
        "custom_fields": [
            {"id": 5_000_000_000 + field * 17, "value": generator.choice(OPTIONS) or None} for field in range(20)
        ],
        "satisfaction_rating": {"score": generator.choice(["unoffered", "offered", "good", "bad"])},
        "sharing_agreement_ids": [],
        "custom_status_id": 4_000_000_000 + STATES.index(state),
        "followup_ids": [],
        "ticket_form_id": 3_000_000_000 + generator.randrange(5),
        "brand_id": 2_000_000_001,
        "allow_channelback": False,
        "allow_attachments": True,
        "from_messaging_channel": False,
        "generated_timestamp": int(updated.timestamp()) + 1,
    }


def block(task):
    number, size, people_count, seed = task
    people, _ = people_and_agents(people_count, seed)
    staff = people[: max(1, people_count // 30)]
    generator = random.Random(f"{seed}/tickets/{number}")
    first = number * BLOCK + 1
    return "".join(text(ticket(generator, first + place, people, staff)) + "\n" for place in range(size))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("directory", type=Path)
    arguments.add_argument("--tickets", type=int, default=100_000)
    arguments.add_argument("--people", type=int, default=20_000)
    arguments.add_argument("--seed", type=int, default=11)
    given = arguments.parse_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    people, agents = people_and_agents(given.people, given.seed)
    for name, records in [("people", people), ("agents", agents)]:
        lines = (text(record) + "\n" for record in records)
        (given.directory / f"{name}.ndjson").write_text("".join(lines), encoding="utf-8", newline="\n")
    tasks = [
        (number, min(BLOCK, given.tickets - number * BLOCK), given.people, given.seed)
        for number in range(-(-given.tickets // BLOCK))
    ]
    with Pool() as pool, open(given.directory / "tickets.ndjson", "w", encoding="utf-8", newline="\n") as out:
        for lines in pool.imap(block, tasks):
            out.write(lines)


if __name__ == "__main__":
    main()
