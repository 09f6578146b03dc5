"""Credits of customers: how they enter and leave the books.

    usable -> used up | void | expired

| fact                                  | debit           | credit          |
|---------------------------------------|-----------------|-----------------|
| a credit is granted                   | expense         | customer credit |
| a prepaid one: money was received     | cash            | customer credit |
| what is left of it is voided          | the same, turned round            |
| what is left of it expires            | the same, turned round            |
| of a prepaid one: the money is kept   | customer credit | breakage        |
"""

from datetime import datetime

from corebilling.errors import FailedPrecondition, InvalidArgument


def check_validity(valid_from: datetime, valid_until: datetime | None) -> None:
    """Refuses a credit that would never hold.

    Raises:
        InvalidArgument: CREDIT_INVALID.
    """
    if valid_until is not None and valid_until <= valid_from:
        detail = "valid_until comes after valid_from"
        raise InvalidArgument("CREDIT_INVALID", f"Correct the credit: {detail}.", {"detail": detail})


def decide_void(credit_id: str, remaining_minor: int) -> int:
    """What is taken away of a credit.

    Raises:
        FailedPrecondition: CREDIT_USED_UP when nothing is left.
    """
    if not remaining_minor:
        raise FailedPrecondition("CREDIT_USED_UP", "Nothing is left of the credit.", {"credit_id": credit_id})
    return remaining_minor
