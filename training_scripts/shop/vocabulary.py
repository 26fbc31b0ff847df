"""Words of the made-up shop: categories, their topics, and what people call the things of a topic.

Of each topic the first words stand in titles, the last ones in what people search for: some are the same, some only
mean the same, so that a language model can know more than a count of words.
"""

from __future__ import annotations

TOPICS: dict[str, dict[str, tuple[str, str]]] = {
    "garden": {
        "planting": ("trowel, seed tray, flower pot, bulb planter", "something to plant seedlings, small shovel, pots"),
        "lawn": ("lawn mower, edging shears, sprinkler, rake", "cut the grass, watering the yard, leaf collecting"),
        "pond": ("pond pump, water lily basket, koi food, liner", "fish in the backyard, fountain, aquatic plants"),
        "outdoor seating": ("deck chair, hammock, parasol, bench", "sit in the sun, shade for the terrace, lounger"),
    },
    "kitchen": {
        "baking": ("cake tin, rolling pin, whisk, dough bowl", "bake bread, pastry tools, birthday cake"),
        "coffee": ("espresso pot, grinder, milk frother, filter cone", "brew a cappuccino, barista, morning caffeine"),
        "knives": ("chef knife, paring knife, sharpener, cutting board", "chop vegetables, blade, slice meat"),
        "storage": ("jar, lunch box, bread bin, freezer container", "keep food fresh, leftovers, airtight"),
    },
    "music": {
        "guitar": ("guitar strings, capo, plectrum, guitar strap", "play chords, acoustic six string, picks"),
        "piano": ("piano stool, metronome, keyboard stand, sheet music", "practise scales, sonata, keys"),
        "drums": ("drum sticks, cymbal, practice pad, snare", "percussion, beat and rhythm, hit softly"),
        "studio": ("microphone, audio interface, pop filter, headphones", "record vocals, podcast, mixing"),
    },
    "sports": {
        "climbing": ("carabiner, chalk bag, climbing rope, harness", "bouldering, belay, mountaineering safety"),
        "cycling": ("bicycle pump, helmet, inner tube, pannier", "ride to work, flat tyre, bike commuting"),
        "swimming": ("goggles, swim cap, kickboard, towel", "pool training, crawl, open water"),
        "yoga": ("yoga mat, foam roller, block, meditation cushion", "stretching, pilates, calm evening exercise"),
    },
    "toys": {
        "building": ("brick set, marble run, wooden blocks, model kit", "construct towers, engineering for kids"),
        "dolls": ("doll house, puppet, teddy bear, doll pram", "cuddly, pretend family, plush"),
        "games": ("board game, jigsaw puzzle, card deck, dice", "rainy afternoon with friends, strategy, family night"),
        "vehicles": ("toy train, race track, fire engine, tractor", "locomotive, little cars, play garage"),
    },
    "office": {
        "writing": ("fountain pen, notebook, ink bottle, pencil case", "handwriting, diary, take notes"),
        "desk": ("monitor arm, desk lamp, keyboard tray, cable clip", "ergonomic workplace, light, screen higher"),
        "filing": ("ring binder, label maker, folder, archive box", "sort documents, paperwork, invoices"),
        "shipping": ("packing tape, bubble wrap, carton, parcel scale", "send a package, moving house, post"),
    },
    "pets": {
        "dogs": ("dog leash, chew bone, dog bed, harness", "puppy, walk on a lead, barking friend"),
        "cats": ("scratching post, cat litter, catnip mouse, cat tunnel", "kitten, purring, claws off the sofa"),
        "aquarium": ("aquarium filter, fish food, gravel, heater", "tropical tank, guppies, clean water"),
        "birds": ("bird cage, seed feeder, perch, nest box", "parrot, budgie, feed sparrows"),
    },
    "home repair": {
        "painting": ("paint roller, brush set, masking tape, primer", "new colour for the wall, decorate, varnish"),
        "electrics": ("cable tester, socket, fuse, wire stripper", "install a lamp, power outlet, voltage"),
        "plumbing": ("pipe wrench, tap washer, drain snake, sealant", "leaking faucet, blocked sink, bathroom"),
        "drilling": ("drill bit, wall plug, cordless drill, spirit level", "hang a shelf, make holes, screws"),
    },
}
"""Category -> topic -> (words of titles, words of searches)."""

ADJECTIVES = "classic, compact, deluxe, sturdy, light, handy, premium, everyday, small, large, foldable, reliable"
COLOURS = "blue, red, green, black, white, grey, natural, silver"
VAGUE_TITLES = "starter set, gift box, accessory, travel edition, spare part, value pack, limited edition, assortment"
VAGUE_QUERIES = "present for dad, on sale, best rated, new this week, something nice, gift under 20, popular, cheap"
PRAISE = "great, works as it should, very happy, would buy again, good quality, arrived quickly"
BLAME = "broke after a week, not as described, too small, poor quality, sent it back, disappointing"
BRANDS = (
    "Alder, Birk, Corvo, Dunmore, Elva, Fjord, Garrick, Holm, Ister, Juno, Kestrel, Lunde, Marlow, Nora, Orly, Pike"
)
COUNTRIES = "BR, DE, FR, IN, JP, KE, US"
