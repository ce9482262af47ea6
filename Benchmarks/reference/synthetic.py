#!/usr/bin/env python3
"""The synthetic data sets once more, written from their description: prints the fingerprints that the Swift tests expect.

Needs nothing but Python: its floats are IEEE doubles, as Swift's are, and every operation is in the same order.
"""
import math

M = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M
    return z ^ (z >> 31)


class Random:
    def __init__(self, seed, *streams):
        self.state = seed
        for part in streams:
            self.state = mix((mix((self.state + GOLDEN) & M) * 0xD1342543DE82EF95 + part) & M)

    def next(self):
        self.state = (self.state + GOLDEN) & M
        return mix(self.state)

    def below(self, bound):
        product = self.next() * bound
        if product & M < bound:
            threshold = ((1 << 64) - bound) % bound
            while product & M < threshold:
                product = self.next() * bound
        return product >> 64

    def unit(self):
        return (self.next() >> 11) * 2.0**-53

    def uniform(self, low, high):
        return low + (high - low) * self.unit()

    def chance(self, p):
        return self.unit() < p

    def normal(self):
        total = 0
        for _ in range(3):
            bits = self.next()
            total += sum((bits >> shift) & 0xFFFF for shift in (0, 16, 32, 48))
        return (total - 12 * 32767.5) * 2.0**-16

    def gumbel(self):
        return -log(-log(self.unit() + 2.0**-54))

    def shuffle(self, elements):
        for last in range(len(elements) - 1, 0, -1):
            other = self.below(last + 1)
            elements[last], elements[other] = elements[other], elements[last]

    def permutation(self, count):
        order = list(range(count))
        self.shuffle(order)
        return order


def log(x):
    fraction, exponent = math.frexp(x)
    fraction, exponent = fraction * 2, float(exponent - 1)
    if fraction > 1.4142135623730951:
        fraction *= 0.5
        exponent += 1
    s = (fraction - 1) / (fraction + 1)
    square = s * s
    total = 0.0
    for power in range(21, 0, -2):
        total = total * square + 1 / power
    return 2 * s * total + exponent * 0.6931471805599453


def sine_cosine(angle):
    scaled = angle * 0.6366197723675814
    quarter = math.copysign(math.floor(abs(scaled) + 0.5), scaled)
    r = (angle - quarter * 1.5707963267341256) - quarter * 6.077100506506192e-11
    square = r * r
    sine = cosine = 0.0
    for k in range(9, -1, -1):
        sine = 1 - square / ((2 * k + 2) * (2 * k + 3)) * sine
        cosine = 1 - square / ((2 * k + 1) * (2 * k + 2)) * cosine
    sine *= r
    return [(sine, cosine), (cosine, -sine), (-sine, -cosine), (-cosine, sine)][int(quarter) % 4]


def byte(light):
    return int(min(max(light * 255, 0), 255))


def fingerprint(data):
    value = 0xCBF29CE484222325
    for b in data:
        value = ((value ^ b) * 0x100000001B3) & M
    return value


def scene(seed, index, width, height):
    """SyntheticScenes: one to three discs, rectangles and triangles; its objects and its pixels."""
    random = Random(seed, 2, index)
    side = float(min(width, height))
    objects = []
    wanted = 1 + random.below(3)
    for _ in range(20):
        if len(objects) == wanted:
            break
        kind = random.below(3)
        w = int(side * random.uniform(0.1875, 0.46875))
        h = w if kind == 0 else int(side * random.uniform(0.1875, 0.46875))
        x, y = random.below(width - w + 1), random.below(height - h + 1)
        light = random.uniform(0.5, 0.9)
        colour = [light + random.uniform(-0.08, 0.08) for _ in range(3)]
        if all(x > a + c or a > x + w or y > b + d or b > y + h for _, a, b, c, d, _ in objects):
            objects.append((kind, x, y, w, h, colour))
    grey = random.uniform(0.1, 0.3)
    pixels = []
    for row in range(height):
        for column in range(width):
            shade = [grey] * 3
            for kind, x, y, w, h, colour in objects:
                if not (x <= column < x + w and y <= row < y + h):
                    continue
                u, v = (column - x + 0.5) * 2 / w - 1, (row - y + 0.5) * 2 / h - 1
                if [u * u + v * v <= 1, True, abs(u) <= (v + 1) / 2][kind]:
                    shade = colour
                    break
            pixels += [byte(value + 0.08 * random.normal()) for value in shade]
    return objects, pixels


def inside(label, u, v):
    square = u * u + v * v
    if not square < 1:
        return False
    if label == 0: return True
    if label == 1: return max(abs(u), abs(v)) < 0.7
    if label == 2: return v > -0.5 and v < 1 - 1.7 * abs(u)
    if label == 3: return min(abs(u), abs(v)) < 0.28
    if label == 4: return square > 0.36
    if label == 5: return math.floor((v + 1) * 4) % 2 == 0
    if label == 6: return abs(v) < 0.3
    if label == 7: return v > 0
    if label == 8: return abs(u) / 0.55 + abs(v) < 1
    r = math.sqrt(square)
    c = u / r if r > 0 else 1.0
    return r < 0.6 + 0.4 * (16 * c * c * c * c * c - 20 * c * c * c + 5 * c)


def shape(index, side, seed):
    random = Random(seed, 1, index)
    label = random.below(10)
    cx, cy = random.uniform(-0.35, 0.35), random.uniform(-0.35, 0.35)
    radius = random.uniform(0.35, 0.6)
    sine, cosine = sine_cosine(random.uniform(-0.6, 0.6))
    grey = random.uniform(0.35, 0.65)
    background = [grey + random.uniform(-0.05, 0.05) for _ in range(3)]
    contrast = 0.3 if random.chance(0.5) else -0.3
    foreground = [b + contrast + random.uniform(-0.05, 0.05) for b in background]
    pixels = []
    for y in range(side):
        for x in range(side):
            dx = ((x + 0.5) * 2 / side - 1 - cx) / radius
            dy = ((y + 0.5) * 2 / side - 1 - cy) / radius
            colours = foreground if inside(label, cosine * dx + sine * dy, cosine * dy - sine * dx) else background
            pixels += [byte(colour + 0.05 * random.normal()) for colour in colours]
    return pixels


# The digits' bitmaps, one hexadecimal digit pair a row of five pixels.
BITMAPS = [bytes.fromhex(rows) for rows in (
    "0e11131519110e", "040c040404040e", "0e11010608101f", "1e01010e01011e", "02060a121f0202",
    "1f101e0101110e", "0608101e11110e", "1f010204080808", "0e11110e11110e", "0e11110f01020c")]


def sheet(digit):
    def at(row, column):
        row, column = row - 4, column - 7
        if not (0 <= row < 20 and 0 <= column < 14):
            return 0.0
        return float(BITMAPS[digit][row * 7 // 20] >> (4 - column * 5 // 14) & 1)
    return [[at(row, column) for column in range(28)] for row in range(28)]


SHEETS = [sheet(digit) for digit in range(10)]


def glyph(index, seed):
    random = Random(seed, 2, index)
    label = random.below(10)
    sine, cosine = sine_cosine(random.uniform(-0.9, 0.9))
    scale, shear = random.uniform(0.85, 1.45), random.uniform(-0.25, 0.25)
    shift = random.uniform(-0.25, 0.25), random.uniform(-0.25, 0.25)
    gain = random.uniform(0.8, 1.2)
    grid = SHEETS[label]
    at = lambda row, column: grid[row][column] if 0 <= row < 28 and 0 <= column < 28 else 0.0
    pixels = []
    for y in range(28):
        for x in range(28):
            u, v = (x + 0.5) * 2 / 28 - 1, (y + 0.5) * 2 / 28 - 1
            s = u + shear * v
            px = (scale * (cosine * s - sine * v) + shift[0] + 1) * 28 / 2 - 0.5
            py = (scale * (sine * s + cosine * v) + shift[1] + 1) * 28 / 2 - 0.5
            light = 0.0
            if -1 < px < 28 and -1 < py < 28:
                left, top = math.floor(px), math.floor(py)
                fx, fy = px - left, py - top
                light = ((1 - fy) * ((1 - fx) * at(top, left) + fx * at(top, left + 1))
                         + fy * ((1 - fx) * at(top + 1, left) + fx * at(top + 1, left + 1)))
            pixels.append(byte(gain * light + 0.1 * random.normal()))
    return pixels, label


def single(x):
    """Rounded to 32 bits."""
    import struct
    return struct.unpack("f", struct.pack("f", x))[0]


def feedback(seed, users=600, items=400, each=21, rank=6):
    random = Random(seed, 3)
    tastes = [single(random.normal()) for _ in range(users * rank)]
    traits = [single(random.normal()) for _ in range(items * rank)]
    popularity = [0.5 * random.normal() for _ in range(items)]
    result = []
    for user in range(users):
        random = Random(seed, 4, user)
        scores = []
        for item in range(items):
            product = 0.0
            for factor in range(rank):
                product = single(product + single(tastes[user * rank + factor] * traits[item * rank + factor]))
            scores.append(1.2 * product + popularity[item] + 0.7 * random.gumbel())
        history = sorted(range(items), key=lambda item: -scores[item])[:each]
        random.shuffle(history)
        result += history
    return result


def sequences(seed, users=500, groups=6, clusters=8, items=240, length=34, train=27):
    random = Random(seed, 5)
    first = [cluster * items // clusters for cluster in range(clusters + 1)]
    following = [random.permutation(clusters) for _ in range(groups)]
    favourite = []
    for _ in range(groups):
        flags = [False] * items
        for cluster in range(clusters):
            for member in random.permutation(first[cluster + 1] - first[cluster])[:8]:
                flags[first[cluster] + member] = True
        favourite.append(flags)
    earlier, later = [], []
    for user in range(users):
        random = Random(seed, 6, user)
        group, visits = user % groups, []
        cluster = random.below(clusters)
        while len(visits) < length:
            cluster = following[group][cluster] if random.chance(0.85) else random.below(clusters)
            members = [m for m in range(first[cluster], first[cluster + 1]) if m not in visits]
            weights = [1.0 if favourite[group][m] else 0.03 for m in members]
            total = 0.0
            for weight in weights:
                total += weight
            rest = random.unit() * total
            chosen = members[-1] if members else None
            for member, weight in zip(members, weights):
                rest -= weight
                if rest < 0:
                    chosen = member
                    break
            if chosen is not None:
                visits.append(chosen)
        earlier += [v + 1 for v in visits[:train]]
        later += [v + 1 for v in visits[train:]]
    return earlier + later


def text(seed, classes=10, each=20, train=40_000, validation=6000):
    """SyntheticText: every word is of a class; the last two classes decide on the next."""
    from itertools import accumulate

    def pick(cumulative, random):
        wanted = random.unit() * cumulative[-1]
        low, high = 0, len(cumulative) - 1
        while low < high:
            middle = (low + high) // 2
            if cumulative[middle] <= wanted:
                low = middle + 1
            else:
                high = middle
        return low

    random = Random(seed, 31)
    following = []
    for _ in range(classes * classes):
        draws = [random.unit() for _ in range(classes)]
        following.append(list(accumulate(u * u * u * u * u * u for u in draws)))
    ranks = list(accumulate(1 / rank for rank in range(1, each + 1)))
    words = []
    for stream, count in enumerate((train, validation)):
        random = Random(seed, 32, stream)
        before = last = 0
        for _ in range(count):
            before, last = last, pick(following[before * classes + last], random)
            words.append(last * each + pick(ranks, random))
    return words


def dense(count):
    return single(log(1 + max(count or 0, 0)))


def click_fields(seed, index, rows):
    random = Random(seed, 21, index)
    counts = []
    for field in range(13):
        if random.chance(0.05 * (field % 4)):
            counts.append(None)
            continue
        u = random.unit()
        counts.append(-1 if random.chance(0.02) else int(30 * u * u * u))
    categories = []
    for r in rows:
        u = random.unit()
        square = u * u
        categories.append(min(int(r * (square * square * square * square if r > 10_000 else square)), r - 1))
    return counts, categories


def click_score(seed, counts, categories):
    score = squares = 0.0
    sums = [0.0, 0.0]
    for field, category in enumerate(categories):
        random = Random(seed, 23, field, category)
        score += 0.5 * random.normal()
        if field < 6:
            a, b = 0.7 * random.normal(), 0.7 * random.normal()
            sums = [sums[0] + a, sums[1] + b]
            squares += a * a + b * b
    score += (sums[0] * sums[0] + sums[1] * sums[1] - squares) / 2
    for field, count in enumerate(counts):
        score += 0.3 * Random(seed, 24, field).normal() * (dense(count) - 1.5)
    return score


def clicks(seed, count, rows=[4 + field for field in range(26)]):
    """SyntheticClicks: clicked, counts (255 where missing, 254 for -1), categories."""
    scores = sorted(click_score(seed, *click_fields(seed, index, rows)) for index in range(4000))
    total = 0.0
    for score in scores:
        total += score
    mean, middle, spread = total / 4000, scores[int(0.72 * 4000)], 0.0
    for score in scores:
        spread = spread + (score - mean) * (score - mean)
    deviation = math.sqrt(spread / 4000)
    result = []
    for index in range(count):
        counts, categories = click_fields(seed, index, rows)
        u = Random(seed, 22, index).unit() * (1 - 2.0**-50) + 2.0**-51
        logit = 2.5 * (click_score(seed, counts, categories) - middle) / deviation
        result.append(int(log(u) - log(1 - u) < logit))
        result += [255 if c is None else 254 if c < 0 else c for c in counts] + categories
    return result


print("20 shapes of 32x32 pixels, seed 7:", fingerprint(p for i in range(20) for p in shape(i, 32, 7)))
glyphs = [glyph(i, 7) for i in range(50)]
print("50 glyphs, then their labels, seed 7:", fingerprint([p for g in glyphs for p in g[0]] + [g[1] for g in glyphs]))
print("feedback, low and high byte of each item, seed 7:",
      fingerprint(b for item in feedback(7) for b in (item & 255, item >> 8)))
print("sequences, training then test, seed 7:", fingerprint(sequences(7)))


def spelling(number, ending):
    two = number < 4900
    rest = number * 1009 % 4900 if two else number * 90_001 % 343_000
    word = ""
    for _ in range(2 if two else 3):
        word += "bdfgklmnprstvz"[rest % 70 % 14] + "aeiou"[rest % 70 // 14]
        rest //= 70
    return word + ending


def language(count, seed, source_words, target_words, shortest, longest):
    dictionary = Random(1, 10).permutation(source_words)
    lines = []
    for index in range(count):
        random = Random(seed, 11, index)
        size = shortest + random.below(longest - shortest + 1)
        words = [random.below(source_words) for _ in range(size)]
        other = [
            source_words + w if i > 0 and words[i - 1] % 2 == 1 and source_words + w < target_words else dictionary[w]
            for i, w in enumerate(words)]
        lines.append(" ".join(spelling(w, "") for w in words) + "\n"
                     + " ".join(spelling(w, "n") for w in reversed(other)) + "\n")
    return "".join(lines).encode()


def grammar(documents, seed, nouns=24, verbs=12, adjectives=6, shortest=4, longest=8):
    lines = []
    for document in range(documents):
        random = Random(seed, 12, document)
        topic = random.below(nouns)
        for _ in range(shortest + random.below(longest - shortest + 1)):
            plural, other = random.chance(0.5), random.chance(0.5)
            determiner = lambda plural: (["some", "these"] if plural else ["a", "this"])[random.below(2)]
            first = determiner(plural)
            adjective = spelling(nouns + verbs + random.below(adjectives), "")
            second = determiner(other)
            lines.append(" ".join([
                first, adjective, spelling(topic, "s" if plural else ""),
                spelling(nouns + topic * 5 % verbs, "" if plural else "t"), second,
                spelling(random.below(nouns), "s" if other else ""), "."]))
        lines.append("")
    return "".join(line + "\n" for line in lines).encode()


print("100 pairs of sentences, source and target line by line, seed 7:", fingerprint(language(100, 7, 20, 20, 4, 10)))
print("100 pairs with forms, seed 7:", fingerprint(language(100, 7, 2907, 3145, 6, 20)))
print("20 documents, seed 7:", fingerprint(grammar(20, 7)))
scenes = [scene(1, i, 64, 64) for i in range(5)]
print("5 scenes of 64x64 pixels with classes, places and sides of their objects, seed 1:", fingerprint(
    v for objects, pixels in scenes for v in pixels + [n for o in objects for n in (o[0] + 1, *o[1:5])]))
print("text, training then validation, seed 7:", fingerprint(text(7)))
print("200 impressions, seed 7:", fingerprint(clicks(7, 200)))
