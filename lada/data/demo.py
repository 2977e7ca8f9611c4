"""The built-in demonstration task: binary sentiment of everyday English sentences.

The examples come from a small grammar, not from a file. A domain (a restaurant, a film, a train,
...) supplies nouns and fitting adjectives, and a template puts them together. Most templates hold
for either polarity: one is drawn for each example, and the template decides whether the sentence as
a whole has that polarity or the opposite one. So the same words occur under both labels, and the
label follows from their combination: negation and litotes, double negation, contrast in which one
side decides, counterfactuals and wishes, comparison, expectations met or not, and plain praise
and blame.

Measured accuracy on dev: logistic regression on word counts 76 % (tf-idf 74 %,
with word pairs 81 %); a pretrained MiniLM (6 layers, width 384), fine-tuned with AdamW, learning
rate 1e-4 with linear warm-up and decay over 3 epochs, batches of 32, bfloat16 autocast, seed 0:
94.9 %, 99.3 % and 99.8 % after epoch 1, 2 and 3.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import TypeVar

LABELS: tuple[str, str] = ("negative", "positive")
TRAIN_ROWS = 6000
DEV_ROWS = 1000
_SEED = 20240607
_T = TypeVar("_T")

# One paragraph a domain, and in it: wholes | preposition that ties a part to a whole | what such
# a thing is called | parts | people (these two without "the", * marks a plural) | good adjectives
# of a part | bad ones. None is extreme: "not exquisite" is no blame and "not vile" no praise.
_DOMAIN_TEXT = """
the corner bistro, the new noodle bar, the harbour grill, the village pub, my uncle's diner | at
| meal, dinner, lunch | soup, pasta, curry, dessert, sauce, breakfast, *dumplings, *side dishes
| waiter, waitress, *kitchen staff
| tasty, fresh, delicious, flavourful, satisfying, well-seasoned, mouth-watering, appetising
| bland, tasteless, greasy, flavourless, unappetising, insipid, stodgy, sickly, nasty

her latest thriller, the new crime series, the courtroom drama, the animated film | in
| film, show, story | plot, acting, dialogue, script, ending, *action scenes, *characters |
| gripping, clever, moving, convincing, witty, original, inventive, absorbing, entertaining
| dull, predictable, tedious, clumsy, shallow, contrived, unconvincing, lifeless, forgettable

his debut novel, the new biography, the murder mystery, the travel memoir | in | book, read
| prose, narration, opening chapter, middle section, *descriptions, *final chapters |
| vivid, elegant, thought-provoking, insightful, engaging, lyrical, captivating, compelling
| dry, long-winded, confusing, repetitive, pretentious, wooden, sloppy, dreary, plodding

the seaside hotel, the old guest house, the youth hostel, the mountain lodge | at | stay, visit
| room, bathroom, lobby, lounge, bar, terrace, *corridors | receptionist, manager, *cleaners
| clean, comfortable, cosy, inviting, tidy, pleasant, stylish, charming, elegant
| dirty, shabby, uncomfortable, dingy, smelly, gloomy, grubby, draughty, depressing

our week in Portugal, the weekend in Vienna, the island cruise, our summer holiday | during
| trip, holiday, tour | boat ride, museum visit, coastal hike, coach tour, *day trips, *excursions
| guide, tour leader, bus driver, *fellow travellers
| relaxing, memorable, delightful, exciting, well-organised, fascinating, refreshing, thrilling
| exhausting, chaotic, tedious, stressful, tiring, uninspiring, rushed, overcrowded, monotonous

my new phone, this tablet, the office laptop, the smart watch, the e-reader | on | device, gadget
| touchscreen, software, main menu, control panel, search function, *apps, *controls, *settings
| support engineer, sales assistant, technician, *helpline staff
| responsive, reliable, intuitive, well-designed, user-friendly, dependable, polished, handy
| sluggish, unreliable, clunky, glitchy, frustrating, fiddly, awkward, erratic, cumbersome

the long weekend, our camping trip, the sailing holiday, our week by the lake | during
| weekend, holiday, break | weather, *mornings, *afternoons, *evenings, *days |
| sunny, bright, glorious, pleasant, warm, balmy, lovely, gorgeous
| gloomy, damp, grey, chilly, miserable, stormy, drizzly, bleak, dismal, wet

my new job, the summer internship, the marketing department, the charity office | in | week, job
| weekly briefing, planning session, induction day, *meetings, *workshops, *team calls
| manager, team leader, supervisor, *colleagues
| productive, rewarding, worthwhile, useful, well-planned, efficient, constructive, inspiring
| pointless, disorganised, unproductive, draining, repetitive, mind-numbing, irritating

the jazz festival, the spring concert, the open-air opera, the school musical | at | concert, show
| singing, drumming, string section, choir, opening act, encore, *duets | *stewards, *ushers
| uplifting, polished, stirring, energetic, soulful, spirited, lively, captivating, impressive
| tuneless, lifeless, sloppy, grating, ragged, feeble, half-hearted, shrill, uninspired

the winter coat, my new jacket, the wool sweater, the evening dress | of | purchase, garment
| fabric, lining, collar, material, *sleeves, *cuffs | tailor, shop assistant, *sales staff
| comfortable, soft, durable, well-made, hard-wearing, elegant, sturdy, smooth, neat
| scratchy, flimsy, itchy, shoddy, uncomfortable, threadbare, tatty, coarse, ugly

the night train, the airport shuttle, the coastal ferry, the intercity coach | on | journey, ride
| dining area, rear section, luggage area, *seats, *toilets | conductor, ticket inspector, *crew
| clean, comfortable, roomy, spacious, tidy, modern, well-lit, pleasant, airy
| filthy, cramped, sticky, shabby, stuffy, uncomfortable, grimy, worn-out, smelly

the dental clinic, the village surgery, the eye clinic, the town hospital | at | visit, check-up
| examination, treatment, consultation, aftercare, *procedures | nurse, doctor, *receptionists
| thorough, gentle, professional, painless, reassuring, careful, effective, unhurried
| painful, rushed, careless, unpleasant, unprofessional, stressful, rough, hasty, sloppy
"""
# Of every pair the first entry is the negative one, as in LABELS.
_PEOPLE = (
    ("rude", "impatient", "careless", "arrogant", "unfriendly", "surly", "dismissive", "grumpy"),
    ("friendly", "helpful", "patient", "attentive", "polite", "courteous", "cheerful", "kind"),
)
_STRONG = (
    ("awful", "terrible", "dreadful", "horrible", "dismal", "appalling", "atrocious", "ghastly"),
    ("wonderful", "superb", "excellent", "fantastic", "marvellous", "brilliant", "splendid"),
)
_MILD = (
    ("bad", "disappointing", "unpleasant", "poor", "frustrating", "unsatisfying"),
    ("good", "enjoyable", "pleasant", "nice", "memorable", "satisfying"),
)
_NOUN = (
    ("disaster", "letdown", "nightmare", "mess", "failure", "flop"),
    ("triumph", "treat", "delight", "joy", "success", "gem"),
)
_VERB = (
    ("hate hated hating", "dislike disliked disliking", "detest detested detesting"),
    ("love loved loving", "enjoy enjoyed enjoying", "like liked liking"),
)
_SLIGHTLY = (("a bit", "a little", "slightly", "rather"), ("fairly", "reasonably", "quite"))
_VERY = ("really", "truly", "remarkably", "exceptionally", "extremely", "particularly")
_FRIEND = ("my cousin", "my neighbour", "our landlord", "a colleague", "my aunt", "my best friend")
_OPENING = ("to be honest,", "for what it is worth,", "frankly,", "I have to say,", "looking back,")

# A paragraph is a phenomenon: its name, its weight, and its templates, each with a RULE first.
# "=": the sentence has the drawn polarity p, "!": it has the opposite one. "+" or "-" fixes p for
# what is natural with one polarity only; "?" forbids an opening phrase. The slots that end in x
# have polarity p, those that end in y the opposite one:
#   S the judged part, with its place or without, s its bare noun, be isnt its verb, x x2 y its
#   adjectives (mx my: one that goes with "more"); T t tbe tx ty: another part; W the whole;
#   K what it is called; wx wy strong and kx ky mild adjectives for it (gx gy as mx my); nx noun;
#   v0x v1x v2x love loved loving; very, bitx bity words of degree; F somebody with an opinion.
_TEMPLATE_TEXT = """
plain 54
= {S} {be} {very} {x} | = {S} {be} both {x} and {x2} | = {W} turned out to be an absolute {nx}
= {S} {be} not only {x} but also {x2} | = {S} {be} {x}, and {F} thought so too
= {S} {be} {x}, and {T} {tbe} {tx} as well | = nearly everybody I spoke to found {S} {x}
= what I {v1x} most about {W} was the {x} {s} | = it was a {kx} {K}, and {S} {be} {very} {x}
= {S} {be} not just {x} but {very} {x2}, and {T} {tbe} {tx} too
= we {v1x} the {x} {s}, and {W} was a {nx} from start to finish

negation 24
! {S} {isnt} {x} at all | ! {S} {isnt} {x} but {y} | ! {S} {be} far from {x}
! {S} {be} anything but {x} | ! {S} {be} {y} rather than {x} | ! nobody could call {S} {x}
! {S} {isnt} the least bit {x} | ! {S} {be} neither {x} nor {x2} | !? {S}, {x}? Quite the opposite
! there was nothing {x} about {S} | ! {W} was not {kx} in any respect
! it would be wrong to call {S} {x} | ! I can't pretend that {S} {be} {x}
!? {be} {S} {x}? Not in the slightest | =? {be} {S} {x}? Very much so | !+ I cannot recommend {W}
! few people would describe {S} as {x} | ! hardly anyone I spoke to found {S} {x}
=+ I cannot recommend {W} highly enough | !+ I would hesitate to recommend {W} to anybody
=+ I would not hesitate to recommend {W} to anybody
! {S} {isnt} remotely {x}, whatever {F} may say
!? do not believe anyone who says that {S} {be} {x}
! it was hardly a {kx} {K}, and the {s} {isnt} {x} at all

double negation 10
= {S} {be} never anything but {x} | = nobody could deny that {S} {be} {x}
= there is no denying that {S} {be} {x} | = it would not be wrong to call {S} {x}
= it would be wrong to say that {S} {isnt} {x} | = I would be lying if I said that {S} {isnt} {x}
! I would be lying if I said that I {v1x} {W} | =? do not let anyone tell you that {S} {isnt} {x}
! there is no point in pretending that I {v1x} {W}

contrast 26
= I went from {v2y} {W} to {v2x} it | ! I started out {v2x} {W} and ended up {v2y} it
= despite the {ty} {t}, we {v1x} {W} | = {T} {tbe} {bity} {ty}, but I {v1x} {W} all the same
= {S} {be} {bity} {y}, but {T} {tbe} {very} {tx} | = although {T} {tbe} {ty}, I {v1x} {W}
= {S} {be} {very} {x}, even if {T} {tbe} {bity} {ty}
= although {T} {tbe} {bity} {ty}, {S} {be} {very} {x}
= {S} {be} {bity} {y}, but {T} {tbe} {tx}, and that mattered far more to us
= {S} {be} {x}, and it hardly mattered that {T} {tbe} {bity} {ty}
= {W} sounded {wy} on paper, but the {s} {be} {x} and we {v1x} it
=? never mind the {ty} {t}, because {W} was a {nx} | = the {x} {s} easily outweighed the {ty} {t}
= what began as a {wy} {K} turned into a {wx} one | ! the {x} {s} could not outweigh the {ty} {t}
! what looked like a {wx} {K} ended up as a {wy} one | =- the {x} {s} spoiled an otherwise {wy} {K}
= the {x} {s} mattered more to me than the {ty} {t} | =+ the {x} {s} rescued an otherwise {wy} {K}
! the {x} {s} mattered less to me than the {ty} {t}
= what stays with me is the {x} {s}, not the {ty} {t}
! what stays with me is not the {x} {s} but the {ty} {t}
!- not even the {x} {s} could spoil such a {wy} {K}
!+ not even the {x} {s} could rescue such a {wy} {K}
=+ the {x} {s} more than made up for the {ty} {t} | !+ the {x} {s} did not make up for the {ty} {t}

counterfactual 14
!+ I wish that {S} had been more {mx} | =- I wish that {S} had been less {mx}
=+ we could not have wished for a more {gx} {K} | =+ I wish that every {K} were as {kx} as this one
!+ I wish I could say that {S} {be} {x} | ! I would have {v1x} {W} but for the {y} {s}
! without the {y} {s}, {W} would have been {wx}
! had the {s} not been so {y}, I would have {v1x} {W}
! {W} would have been {wx} if the {s} had been less {my}
!+ {W} would have been {wx} if the {s} had been more {mx}

comparison 14
= {S} could not have been more {mx} | ! {S} could not have been less {mx}
= {S} {be} far more {mx} than I had expected | ! {S} {be} far less {mx} than I had expected
= {S} {be} every bit as {x} as {F} had said | ! {S} {be} nowhere near as {x} as {F} had said
= I have rarely known a more {gx} {K} than this one | !+ {S} could have been a good deal more {mx}
! I have rarely known a less {gx} {K} than this one
!+ I have known a far more {gx} {K} than this one
=- I have known a far less {gx} {K} than this one

expectation 22
= I expected to {v0x} {W}, and I did | ! I expected to {v0x} {W} and did not
= I expected {W} to be {wx}, and it was | ! I expected {W} to be {wx}, and it was not
=? {F} called {S} {x}, and I could not agree more
!? {F} called {S} {x}, and I could not disagree more
=? {F} told us that {W} was {wx}, which turned out to be true
!? {F} told us that {W} was {wx}, which turned out to be untrue
= I was prepared for a {wx} {K} and got exactly that
! I was prepared for a {wx} {K} and got the exact opposite
= we thought that {W} would be a {nx}, and we were not mistaken
! we thought that {W} would be a {nx}, but we were mistaken
= contrary to what {F} had told me, {S} {be} {x}
! contrary to what {F} had told me, {S} {be} not {x} in any way
=- I was afraid that {S} would be {x}, and I was right
!- I was afraid that {S} would be {x}, but I need not have worried
=+ I had hoped that {S} would be {x}, and I got my wish
!+ I had hoped that {S} would be {x}, but no such luck
"""


def _parse_domains() -> list[list[list[str]]]:
    """The domains of _DOMAIN_TEXT, each with its seven lists in the order given there."""
    paragraphs = _DOMAIN_TEXT.strip().split("\n\n")
    fields = [" ".join(paragraph.split()).split("|") for paragraph in paragraphs]
    return [[re.findall(r"[^\s,][^,]*[^\s,]", field) for field in row] for row in fields]


def _parse_templates() -> list[list[str]]:
    """The phenomena of _TEMPLATE_TEXT, each repeated by its weight."""
    wheel: list[list[str]] = []
    for paragraph in _TEMPLATE_TEXT.strip().split("\n\n"):
        head, *lines = paragraph.split("\n")
        wheel += [[text for line in lines for text in line.split(" | ")]] * int(head.split()[-1])
    return wheel


class _Chooser:
    """Draws through Random.random alone: only its sequence is promised for all versions."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def below(self, n: int) -> int:
        return int(self._random.random() * n)

    def pick(self, items: Sequence[_T]) -> _T:
        return items[self.below(len(items))]

    def two(self, items: Sequence[_T]) -> tuple[_T, _T]:
        """Two different entries."""
        first = self.below(len(items))
        return items[first], items[(first + 1 + self.below(len(items) - 1)) % len(items)]


def _gradable(adjectives: Sequence[str]) -> list[str]:
    """Those that go with "more" and "less": gripping, but not fresh or lifeless."""
    return [w for w in adjectives if len(w) > 6 and "-" not in w and not w.endswith("less")]


def _slots(draw: _Chooser, domain: list[list[str]], positive: bool) -> dict[str, str]:
    """One filling of all the slots, for the polarity p given by `positive`."""
    wholes, (prep,), kinds, parts, people, good, bad = domain
    nouns = list(draw.two(parts))
    if people and draw.below(3) == 0:
        nouns[draw.below(2)] = draw.pick(people)
    first, second = (_PEOPLE if noun in people else (bad, good) for noun in nouns)
    be, tbe = ("were" if noun.startswith("*") else "was" for noun in nouns)
    s, t = (noun.lstrip("*") for noun in nouns)
    slots = {"s": s, "be": be, "t": t, "tbe": tbe, "S": f"the {s}", "T": f"the {t}"}
    slots["isnt"] = be + draw.pick((" not", "n't"))
    slots["W"], slots["K"] = draw.pick(wholes), draw.pick(kinds)
    if nouns[0] in parts and draw.below(2):
        slots["S"] += f" {prep} {slots['W']}"
    slots["very"], slots["F"] = draw.pick(_VERY), draw.pick(_FRIEND)
    for side, pole in (("x", int(positive)), ("y", int(not positive))):
        slots[side], slots[side + "2"] = draw.two(first[pole])
        slots["t" + side] = draw.pick([word for word in second[pole] if word != slots[side]])
        slots["m" + side] = draw.pick(_gradable(first[pole]))
        slots["w" + side] = draw.pick(_STRONG[pole])
        slots["k" + side] = draw.pick(_MILD[pole])
        slots["g" + side] = draw.pick(_gradable(_MILD[pole]))
        slots["n" + side] = draw.pick(_NOUN[pole])
        slots["bit" + side] = draw.pick(_SLIGHTLY[pole])
        for form, word in enumerate(draw.pick(_VERB[pole]).split()):
            slots[f"v{form}{side}"] = word
    return slots


def _sentence(draw: _Chooser, domain: list[list[str]], template: str) -> tuple[str, int]:
    """A sentence made from a template, and its label."""
    rule, text = template.split(" ", 1)
    positive = "+" in rule or ("-" not in rule and draw.below(2) == 1)
    text = text.format_map(_slots(draw, domain, positive))
    if "?" not in rule and draw.below(3) == 0:
        text = f"{draw.pick(_OPENING)} {text}"
    text = re.sub(r"\ba (?=[aeiou])", "an ", text)
    return text[0].upper() + text[1:] + ".", int(positive == rule.startswith("="))


@lru_cache(maxsize=1)
def _all_examples() -> tuple[tuple[str, int], ...]:
    """The examples of both splits, all different; each pair of consecutive ones has both labels."""
    draw = _Chooser(_SEED)
    domains, wheel = _parse_domains(), _parse_templates()
    examples: list[tuple[str, int]] = []
    seen: set[str] = set()
    wanted = 0
    while len(examples) < TRAIN_ROWS + DEV_ROWS:
        sentence, label = _sentence(draw, draw.pick(domains), draw.pick(draw.pick(wheel)))
        if label == wanted and sentence not in seen:
            seen.add(sentence)
            examples.append((sentence, label))
            # Drawn for the first of a pair, so that the labels do not simply alternate.
            wanted = draw.below(2) if len(examples) % 2 == 0 else 1 - label
    return tuple(examples)


def make_examples(split: str) -> tuple[list[str], list[int]]:
    """The sentences of a split, "train" or "dev", and their labels as indices into LABELS.

    The same on every call and machine: TRAIN_ROWS or DEV_ROWS different sentences, half of them
    of each label, and none of them in both splits. Raises ValueError for any other split.
    """
    bounds = {"train": (0, TRAIN_ROWS), "dev": (TRAIN_ROWS, TRAIN_ROWS + DEV_ROWS)}
    if split not in bounds:
        raise ValueError(f"unknown split {split!r}: the splits are 'train' and 'dev'")
    examples = _all_examples()[slice(*bounds[split])]
    return [sentence for sentence, _ in examples], [label for _, label in examples]
