"""The texts of the program in other languages: `python -m tests.catalogue` after one was changed.

It takes from the code what `phrase`, `plural` and `later` are given, puts what is new into
`bot/locale/*/LC_MESSAGES/bot.po` without a translation, takes out what is gone, and makes of each the
`bot.mo` beside it that the program reads. Both are kept in the repository, so that a checkout and a
wheel have them without anything to be built; `tests/test_phrases.py` fails where they differ.
"""

from __future__ import annotations

import gettext
import io

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from tests.conftest import ROOT

LOCALES = ROOT / "bot" / "locale"
KEYWORDS = {"phrase": None, "plural": (1, 2), "later": None}


def of_the_code(root=ROOT / "bot"):
    """Every text that the code may say, each with where it stands."""
    found = Catalog(locale="en")
    for file, _, text, comments, context in extract_from_dir(
        root, method_map=[("**.py", "python")], keywords=KEYWORDS, comment_tags=["Translators:"]
    ):
        found.add(text, locations=[(file, 1)], auto_comments=comments, context=context)
    return found


def of_file(path):
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.parent.name)


def files():
    return sorted(LOCALES.glob("*/LC_MESSAGES/bot.po"))


def compiled(catalogue):
    made = io.BytesIO()
    write_mo(made, catalogue)
    return made.getvalue()


def entries(mo):
    """What a program that reads this finds in it."""
    return {
        key: value
        for key, value in vars(gettext.GNUTranslations(io.BytesIO(mo)))["_catalog"].items()
        if key
    }


def main():
    code = of_the_code()
    for path in files():
        catalogue = of_file(path)
        catalogue.update(code, no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        head, texts = path.read_text(encoding="utf-8").partition("\n\n")[0], io.BytesIO()
        write_po(texts, catalogue, width=100, no_location=True, omit_header=True, sort_output=True)
        path.write_text(f"{head.strip()}\n\n{texts.getvalue().decode()}", encoding="utf-8")
        path.with_suffix(".mo").write_bytes(compiled(catalogue))
        open_ = [each.id for each in catalogue if each.id and not all(strings(each))]
        print(f"{path}: {len(catalogue)} texts, {len(open_)} not translated")


def strings(message):
    return message.string if isinstance(message.string, tuple | list) else [message.string]


if __name__ == "__main__":
    main()
