"""Business rules: what an accepted message does to records, and what time does to them.

`schema` is what rule files may say, `conditions` and `compile` make rules of it, `facts` is what they ask about,
`walk` goes through them and gives a plan, `draft` the record as the plan leaves it, `changes` makes all of an Intake.
"""

from mta.tracking.record.changes import changes_for
from mta.tracking.record.overdue import overdue_work
from mta.tracking.record.rules import BusinessRules, load_business_rules

__all__ = ["BusinessRules", "changes_for", "load_business_rules", "overdue_work"]
