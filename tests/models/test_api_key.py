from hypothesis import given
from hypothesis import strategies as st

from corebilling.values.api_key import api_key_id, new_api_key


def test_new_keys_differ_and_lead_to_their_ids() -> None:
    first, second = new_api_key(), new_api_key()
    assert first.text != second.text
    assert (api_key_id(first.text), api_key_id(second.text)) == (first.id, second.id)


def test_prefix_shows_the_id_and_nothing_of_the_secret() -> None:
    key = new_api_key()
    assert key.prefix == "cbk_" + key.id.removeprefix("key_")
    assert key.text not in repr(key)


@given(st.integers(0, 89), st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789_ A"))
def test_one_mistyped_character_is_noticed(position: int, character: str) -> None:
    text = new_api_key().text
    assert len(text) == 91
    mistyped = text[:position] + character + text[position + 1 :]
    assert mistyped == text or api_key_id(mistyped) is None


@given(st.text(max_size=100))
def test_any_text_may_be_presented(text: str) -> None:
    assert api_key_id(text) is None
