"""Exercises of the page that opens appendix B: who may ask, a number from outside, a whole checkpoint."""

import itertools
from functools import partial

import numpy as np

from lmbook.grader import Exercise, expect_that
from lmbook.grader.expect import expect_error, number, shown

# B.0-a
door = Exercise("B.0-a", title="Who may ask", kind="implement", points=3, needs=["status"])


def answered(ns, port, want, *cases):  # type: ignore[no-untyped-def]
    """Each case, a dict of headers, gets the status `want`."""
    for headers in cases:
        got = number(ns.status(dict(headers), port), "the status")
        told = ", ".join(f"{name} {value!r}" for name, value in headers.items()) or "no headers"
        expect_that(got == want, f"port {port}, {told}: should be {want}; got {got:g}")


def drawn_port(rng):  # type: ignore[no-untyped-def]
    return int(rng.integers(2000, 6000))


@door.test("the page itself", "Two names are right. Does every request bring an `Origin`?")
def itself(ns, rng):  # type: ignore[no-untyped-def]
    for name in ("127.0.0.1:8000", "localhost:8000"):
        own = {"Host": name, "Accept": "*/*"}
        answered(ns, 8000, 200, own, own | {"Origin": f"http://{name}"})
    either = {"Host": "localhost:8000", "Origin": "http://127.0.0.1:8000"}
    answered(ns, 8000, 200, either)


@door.hidden("another port", "Another program of this machine has the same name, and another port.")
def another_port(ns, rng):  # type: ignore[no-untyped-def]
    port = drawn_port(rng)
    names = (f"127.0.0.1:{port + 1}", f"localhost:{port + 1}", "127.0.0.1", "localhost")
    answered(ns, port, 403, *({"Host": name} for name in names))


@door.hidden("another name", "How much of the `Host` do you compare? All of it has to agree.")
def another_name(ns, rng):  # type: ignore[no-untyped-def]
    port = drawn_port(rng)
    names = ("site.example", f"site.example:{port}", f"127.0.0.1:{port}.site.example",
             f"localhost:{port}.site.example:{port}", f"localhost.site.example:{port}",
             f"site-localhost:{port}", f"LOCALHOST:{port}", f" localhost:{port}")  # fmt: skip
    answered(ns, port, 403, *({"Host": name} for name in names))


@door.hidden("no Host", "Who does not say whom it asks is refused, without an error.")
def no_host(ns, rng):  # type: ignore[no-untyped-def]
    port = drawn_port(rng)
    answered(ns, port, 403, {}, {"Origin": f"http://127.0.0.1:{port}"})


@door.hidden("another page", "A right `Host` is half of it: which page asks?")
def another_page(ns, rng):  # type: ignore[no-untyped-def]
    port = drawn_port(rng)
    for name in (f"127.0.0.1:{port}", f"localhost:{port}"):
        answered(ns, port, 403, {"Host": name, "Origin": "https://site.example"})


@door.hidden("an Origin that resembles ours", "An origin is `http://`, name and port, all of it.")
def resembles(ns, rng):  # type: ignore[no-untyped-def]
    port = drawn_port(rng)
    name = f"127.0.0.1:{port}"
    origins = (f"http://{name}.site.example", f"https://{name}", f"http://127.0.0.1:{port + 1}",
               "http://127.0.0.1", f"http://site.example/http://{name}")  # fmt: skip
    answered(ns, port, 403, *({"Host": name, "Origin": origin} for origin in origins))


@door.hidden("a page without a name", "An `Origin` that is `null` or empty is there all the same.")
def nameless(ns, rng):  # type: ignore[no-untyped-def]
    port = drawn_port(rng)
    own = {"Host": f"localhost:{port}"}
    answered(ns, port, 403, own | {"Origin": "null"}, own | {"Origin": ""})


@door.hidden("headers in any case", "`HOST`, `Host` and `host` are one header.")
def any_case(ns, rng):  # type: ignore[no-untyped-def]
    port = drawn_port(rng)
    own = f"localhost:{port}"
    page = f"http://{own}"
    answered(ns, port, 200, {"host": own, "ORIGIN": page}, {"HOST": own, "origin": page})
    answered(ns, port, 403, {"Host": own, "origin": "https://site.example"})


# B.0-b
field = Exercise("B.0-b", title="A number from outside", kind="debug", points=3, needs=["number"])


def returned(ns, given, want, least, most, **default):  # type: ignore[no-untyped-def]
    told = "".join(f", default={value}" for value in default.values())
    of = f"number({given}, 'tokens', {least}, {most}{told})"
    try:
        got = ns.number(dict(given), "tokens", least, most, **default)
    except (ValueError, TypeError) as error:
        expect_that(False, f"{of} should be {want}; it raises {type(error).__name__}: {error}")
    expect_that(number(got, of) == want, f"{of} should be {want}; got {shown(got)}")


def refused(ns, given, least, most, naming=(), **default):  # type: ignore[no-untyped-def]
    told = "".join(f", default={value}" for value in default.values())
    expect_error(
        lambda: ns.number(dict(given), "tokens", least, most, **default), ValueError,
        f"number({given}, 'tokens', {least}, {most}{told})", naming,
    )  # fmt: skip


@field.test("a number between the bounds", "What is right comes back as it is.")
def between(ns, rng):  # type: ignore[no-untyped-def]
    returned(ns, {"tokens": 7}, 7, 2, 64)
    returned(ns, {"tokens": 0.25}, 0.25, -1, 1, default=0.5)


@field.hidden("the bounds themselves", "From least to most: both are allowed.")
def bounds(ns, rng):  # type: ignore[no-untyped-def]
    least, most = int(rng.integers(2, 9)), int(rng.integers(20, 99))
    returned(ns, {"tokens": least}, least, least, most)
    returned(ns, {"tokens": most}, most, least, most)


@field.hidden("outside", "What is below the least, and what above the most?")
def outside(ns, rng):  # type: ignore[no-untyped-def]
    for value in (1, 65, 64.001, -7, float("inf"), float("-inf")):
        refused(ns, {"tokens": value}, 2, 64)
    expect_error(
        lambda: ns.number({"tokens": 10**400}, "tokens", 2, 64), ValueError,
        "number({'tokens': 10**400}, 'tokens', 2, 64), too large for a float,",
    )  # fmt: skip


@field.hidden("NaN", "Every comparison with NaN is false: ask what has to be true.")
def not_a_number(ns, rng):  # type: ignore[no-untyped-def]
    refused(ns, {"tokens": float("nan")}, 2, 64)


@field.hidden("a text is no number", "What does `float` make of a text? Look at the type first.")
def text(ns, rng):  # type: ignore[no-untyped-def]
    for value in ("7", " 7e0 ", "seven", [7], {"tokens": 7}):
        refused(ns, {"tokens": value}, 2, 64)


@field.hidden("true and false", "In Python `isinstance(True, int)` holds.")
def truth(ns, rng):  # type: ignore[no-untyped-def]
    for value in (True, False):
        refused(ns, {"tokens": value}, 0, 64)


@field.hidden("a default is for what is missing", "Is the field there? Its value may be 0 or null.")
def default(ns, rng):  # type: ignore[no-untyped-def]
    returned(ns, {"other": 9}, 3, 2, 64, default=3)
    returned(ns, {"tokens": 0}, 0, 0, 64, default=3)
    returned(ns, {}, 0, 0, 64, default=0)
    refused(ns, {"tokens": 0}, 2, 64, default=3)
    refused(ns, {"tokens": None}, 2, 64, default=3)


@field.hidden("missing, and no default", "A missing field is wrong input too: a `ValueError`.")
def missing(ns, rng):  # type: ignore[no-untyped-def]
    refused(ns, {}, 2, 64)


@field.hidden("the error says what is allowed", "The name of the field, the least, the most.")
def names_bounds(ns, rng):  # type: ignore[no-untyped-def]
    least, most = int(rng.integers(20, 50)), int(rng.integers(60, 90))
    for value in (100, 1.5, "seven"):
        refused(ns, {"tokens": value}, least, most, ("tokens", str(least), str(most)))


# B.0-c
whole = Exercise(
    "B.0-c", title="All of a checkpoint or nothing", kind="implement", points=4,
    needs=["complaints", "load"],
)  # fmt: skip

SHAPES = {"norm.scale": (4,), "h.2.weight": (3, 4), "h.10.weight": (4, 3), "embed": (5, 4),
          "h.1.weight": (4, 4)}  # fmt: skip
WANTED = {name: (shape, "float32") for name, shape in SHAPES.items()}


def model(rng):  # type: ignore[no-untyped-def]
    """Random tensors of the shapes above, in a random order."""
    return {
        str(name): rng.standard_normal(SHAPES[name], dtype=np.float32)
        for name in rng.permutation(list(SHAPES))
    }


def complained(ns, tensors, wanted, parts, of):  # type: ignore[no-untyped-def]
    """One sentence for each tuple of `parts`, with all of its texts."""
    got = ns.complaints(dict(tensors), dict(wanted))
    expect_that(
        isinstance(got, list) and all(isinstance(sentence, str) for sentence in got),
        f"{of}: complaints should return a list of texts",
    )
    expect_that(
        len(got) == len(parts), f"{of}: complaints expected: {len(parts)}; there are {len(got)}"
    )
    for place, (sentence, texts) in enumerate(zip(got, parts), start=1):
        for part in texts:
            expect_that(
                part in sentence,
                f"{of}: sentence {place} should have {part}; got {shown(sentence)}",
            )


@whole.test("a file that fits", "Nothing to complain of: an empty list.")
def fits(ns, rng):  # type: ignore[no-untyped-def]
    complained(ns, model(rng), WANTED, [], "a file of the right model")


@whole.hidden("missing", "Which names does the model want that the file does not have?")
def one_missing(ns, rng):  # type: ignore[no-untyped-def]
    tensors = model(rng)
    del tensors["embed"]
    complained(ns, tensors, WANTED, [("embed", "missing")], "a file without embed")


@whole.hidden("extra", "Go through the names of the file as well.")
def one_extra(ns, rng):  # type: ignore[no-untyped-def]
    tensors = model(rng) | {"head": np.ones((4, 5), np.float32)}
    complained(ns, tensors, WANTED, [("head", "extra")], "a file that also has head")


@whole.hidden("shapes", "Shapes are equal or not: the same size, or one that stretches, is not.")
def shapes(ns, rng):  # type: ignore[no-untyped-def]
    for have, want in (((4,), (3, 4)), ((3, 4), (4, 3)), ((1, 4), (4,)), ((), (1,)), ((5,), (4,))):
        complained(
            ns, {"embed": np.ones(have, np.float32)}, {"embed": (want, "float32")},
            [("embed", str(have), str(want))], f"a tensor of shape {have} for one of {want}",
        )  # fmt: skip


@whole.hidden("dtypes", "Numbers of another kind would be converted without a word.")
def dtypes(ns, rng):  # type: ignore[no-untyped-def]
    for have, want in (("float16", "float32"), ("float64", "float32"), ("int64", "float32")):
        complained(
            ns, {"embed": np.ones((2, 3), have)}, {"embed": ((2, 3), want)},
            [("embed", have, want)], f"a tensor of {have} for one of {want}",
        )  # fmt: skip
    complained(
        ns, {"embed": np.ones((3, 4), "float16")}, {"embed": ((4, 3), "float32")},
        [("embed", "(3, 4)", "(4, 3)")], "a tensor of another shape and another dtype",
    )  # fmt: skip


@whole.hidden("all of them, by name", "One list of all names, in the order of `sorted`.")
def in_order(ns, rng):  # type: ignore[no-untyped-def]
    tensors = model(rng) | {"head": np.ones(4, np.float32), "bias": np.ones(4, np.float32)}
    del tensors["norm.scale"], tensors["h.10.weight"]
    tensors["h.2.weight"] = np.ones((4, 3), np.float32)
    tensors["embed"] = np.ones((5, 4), np.float16)
    parts = [("bias",), ("embed",), ("h.10.weight",), ("h.2.weight",), ("head",), ("norm.scale",)]
    complained(ns, tensors, WANTED, parts, "a file with six faults")


@whole.hidden("load fills the model's arrays", "`array[...] = values` writes into an array.")
def filled(ns, rng):  # type: ignore[no-untyped-def]
    held, tensors = model(rng), model(rng)
    ns.load(dict(held), dict(tensors))
    for name, values in tensors.items():
        expect_that(
            np.array_equal(held[name], values),
            f"after load, the model's own array of {name} should have the file's values",
        )
    one = {"scale": np.zeros((), np.float32)}
    ns.load(dict(one), {"scale": np.array(3, np.float32)})
    expect_that(one["scale"] == 3, "after load, an array of shape () should have its value, too")


FAULTS = {
    "missing": lambda tensors, name: tensors.pop(name),
    "of another shape": lambda tensors, name: tensors.update({name: tensors[name][:1]}),
    "of another dtype": lambda tensors, name: tensors.update({name: tensors[name].astype("f2")}),
    "there under a second name, too": lambda tensors, name: tensors.update({f"my.{name}": 1 + tensors[name]}),
}  # fmt: skip


@whole.hidden("all or nothing", "When do you know that nothing is wrong? Change nothing before.")
def nothing(ns, rng):  # type: ignore[no-untyped-def]
    for name, (fault, spoil) in itertools.product(SHAPES, FAULTS.items()):
        held, tensors = model(rng), model(rng)
        kept = {key: array.copy() for key, array in held.items()}
        given = dict(held)
        spoil(tensors, name)
        if not ns.complaints(tensors, WANTED):
            continue  # another check says so
        of = f"load, where {name} is {fault}"
        expect_error(partial(ns.load, given, tensors), ValueError, of)
        same = [key for key in kept if np.array_equal(held[key], kept[key])]
        same = [key for key in same if given.get(key) is held[key]]
        expect_that(
            len(same) == len(kept) == len(given),
            f"{of}: before the error, {len(kept) - len(same)} of {len(kept)} parameters changed",
        )


@whole.hidden("the error has every complaint", "Somebody mends the file: tell all of it at once.")
def tells(ns, rng):  # type: ignore[no-untyped-def]
    held, tensors = model(rng), model(rng)
    del tensors["embed"]
    tensors["h.2.weight"] = tensors["h.2.weight"].T
    tensors["h.10.weight"] = tensors["h.10.weight"].astype(np.float64)
    found = ns.complaints(tensors, WANTED)  # whether they are all, other checks ask
    naming = tuple(name for name in SHAPES if any(name in sentence for sentence in found))
    if naming:
        expect_error(partial(ns.load, held, tensors), ValueError, "load, with three faults", naming)
