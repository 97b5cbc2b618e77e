#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cost_estimate
short_description: Estimate what an environment costs a month
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Computes from the declarations that are deployed what an environment costs a month, row by row, as minimum, expected
    value and maximum in US dollars, with the computation and the source of each price.
  - Prices come from a dated file. A resource without a price, a plan that the file does not know, and a file that is
    too old are errors - what is unknown is not free.
  - Fails if the estimate is over the budget, and higher than what runs or the last estimate, unless that much is
    approved.
  - Runs on the controller, calls nothing, and changes nothing; check mode is the same.
options:
  environment:
    description: Name of the environment, for messages.
    type: str
    required: true
  region:
    description: Region of the resources, which must be that of the prices.
    type: str
    default: us-east-1
  resources:
    description: Declarations as M(nexod.infra.aws_resources) takes them, from P(nexod.infra.aws_declaration#filter).
    type: list
    elements: dict
    default: []
  tasks:
    description: The API's service of ECS, if there is one.
    type: dict
    suboptions:
      least:
        description: Tasks that run at least. At least 0.
        type: int
        required: true
      most:
        description: Tasks that autoscaling may start. 0 if it is off. At least 0.
        type: int
        required: true
      cpu:
        description: Processor of a task, 1024 for each vCPU. At least 0.
        type: int
        required: true
      memory_mb:
        description: Memory of a task in MiB. At least 0.
        type: int
        required: true
  plans:
    description: Plan of V(vercel), V(sentry) and V(supabase), as the file of prices names it, if there is one.
    type: dict
    default: {}
  vercel_seats:
    description: Paid seats of the plan V(pro) at Vercel. At least 0.
    type: int
    default: 1
  fixed:
    description: What has no price by use, such as rented hosts.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the row.
        type: str
        required: true
      usd:
        description: US dollars a month. At least 0.
        type: float
        required: true
      source:
        description: Where the sum comes from.
        type: str
  usage:
    description: Assumptions about use, for a month.
    type: dict
    default: {}
    suboptions:
      tasks:
        description: Tasks that run on average. V(0) is the least number. At least 0.
        type: float
        default: 0
      task_hours:
        description: Hours that a task runs. At least 0.
        type: float
        default: 730
      lcus:
        description: Capacity units of the load balancer, on average. At least 0.
        type: float
        default: 1
      api_gb:
        description: Traffic from the load balancer to users in GB. At least 0.
        type: float
        default: 100
      nat_gb:
        description: Traffic through NAT gateways in GB. At least 0.
        type: float
        default: 50
      zone_gb:
        description: Traffic between availability zones in GB. At least 0.
        type: float
        default: 50
      cdn_gb:
        description: Traffic from CloudFront to users in GB. At least 0.
        type: float
        default: 200
      cdn_million_requests:
        description: Requests to CloudFront, in millions. At least 0.
        type: float
        default: 10
      uploads_gb:
        description: Uploads and static files in S3 in GB. At least 0.
        type: float
        default: 100
      uploads_thousand_objects:
        description: Objects in S3 that are larger than 128 KB, in thousands. At least 0.
        type: float
        default: 100
      s3_thousand_puts:
        description: Writes in S3, in thousands. At least 0.
        type: float
        default: 100
      s3_thousand_gets:
        description: Reads in S3, in thousands. At least 0.
        type: float
        default: 1000
      database_growth_gb:
        description: GB by which the database grows in a month. At least 0.
        type: float
        default: 2
      months_ahead:
        description: Months of growth that the expected value counts. At least 0.
        type: float
        default: 6
      snapshots_gb:
        description: Snapshots of the database that are kept, in GB. At least 0.
        type: float
        default: 20
      logs_gb:
        description: Logs of the tasks in GB. At least 0.
        type: float
        default: 10
      images_gb:
        description: Images in ECR in GB. At least 0.
        type: float
        default: 5
      spread:
        description: Share by which use may be lower or higher, for minimum and maximum. From 0 to 1.
        type: float
        default: 0.5
  stated:
    description: Figures that somebody has stated, by group of rows, to compare the estimate with.
    type: dict
    default: {}
  prices:
    description: File of prices on the controller, see C(docs/cost.md).
    type: path
    required: true
  max_age_days:
    description: Days after which a file of prices is refused. At least 0.
    type: int
    default: 90
  budget_usd:
    description: US dollars that the environment may cost a month. V(0) is no budget. At least 0.
    type: float
    default: 0
  approved_usd:
    description: Estimate up to which going over the budget is approved. At least 0.
    type: float
    default: 0
  before:
    description: File of the last estimate, from which RV(difference_usd) is computed. It need not exist.
    type: path
  changes:
    description:
      - RV(nexod.infra.aws_resources#module:changes) of the same resources in check mode. The estimate is then compared
        with what runs instead of O(before), even if that is an empty list. What runs and is no longer declared is not
        known.
    type: list
    elements: dict
  running_tasks:
    description:
      - With O(changes), the API's service of ECS as it runs. Empty if there is none; without the option it is taken as
        declared.
    type: dict
    suboptions:
      least:
        description: As in O(tasks).
        type: int
        default: 0
      most:
        description: As in O(tasks).
        type: int
        default: 0
      cpu:
        description: As in O(tasks).
        type: int
        default: 0
      memory_mb:
        description: As in O(tasks).
        type: int
        default: 0
"""

EXAMPLES = r"""
- name: Estimate the cost of an environment
  nexod.infra.cost_estimate:
    environment: staging
    resources: "{{ options | nexod.infra.aws_declaration }}"
    tasks: {least: 1, most: 0, cpu: 2048, memory_mb: 4096}
    plans: {vercel: pro}
    prices: prices.yml
    budget_usd: 300
"""

RETURN = r"""
rows:
  description: The rows, each with C(name), C(group), C(usd) (C(min), C(expected), C(max)), C(assumes) and its C(parts).
  returned: success
  type: list
  elements: dict
total:
  description: The sum of all rows, as C(min), C(expected) and C(max).
  returned: success
  type: dict
  sample: {"min": 120.5, "expected": 180.25, "max": 260.0}
difference_usd:
  description: US dollars a month against what runs or the last estimate; none if that is not known.
  returned: always, if there are prices
  type: float
  sample: 175.75
before_usd:
  description: What RV(difference_usd) is computed from; none if that is not known.
  returned: success
  type: float
notes:
  description: What has to be known to read the sum - why the cost of what runs is not known, what was assumed of it,
    how many prices no page confirms.
  returned: success
  type: list
  elements: str
  sample: [4 of its 20 prices are not verified]
compared_with:
  description: V(what runs) or V(the last estimate).
  returned: success
  type: str
over_budget:
  description: Whether the expected value is over the budget.
  returned: success
  type: bool
comparison:
  description: Each group of O(stated) and of the rows, with C(stated_usd), C(estimated_usd) and C(difference_usd).
  returned: success
  type: list
  elements: dict
savings:
  description: What could be saved, each with C(usd), C(computation), C(risk) and C(how). They overlap, and have no sum.
  returned: success
  type: list
  elements: dict
lines:
  description: The sum and the rows as a person reads them.
  returned: success
  type: list
  elements: str
prices:
  description: Number of different prices in the rows.
  returned: success
  type: int
unverified:
  description: The prices that no page confirms, which make the estimate wider.
  returned: success
  type: list
  elements: str
not_priced:
  description: What no row contains.
  returned: success
  type: list
  elements: str
dated:
  description: Day of the prices.
  returned: success
  type: str
  sample: "2026-11-27"
"""
# The work is done by the action plugin of the same name, on the controller.
