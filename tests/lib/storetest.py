"""For tests of what kithd stores: segments read by what kith-journal(5) says of them, and by nothing of kithd's own."""
import os
import struct

MS = 10 ** 6
SCALES = {1: (1024.0, True), 2: (1.0, True), 3: (100.0, False), 4: (1000.0, False), 5: (1000000.0, False)}
HEAD, FRAME, METRICS = 32, 8, 128
TABLE = []
for _n in range(256):
    for _ in range(8):
        _n = _n >> 1 ^ (0x82F63B78 if _n & 1 else 0)
    TABLE.append(_n)


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class Damaged(Exception):
    pass


class Segment:
    """`samples`: (name, time in ns, value), in order; `sealed`; `lost`: bytes behind the last good frame"""

    def __init__(self, path):
        with open(path, "rb") as f:
            data = f.read()
        if len(data) < HEAD or data[:8] != b"kithseg\n" or crc32c(data[:12] + bytes(4) + data[16:HEAD]) != struct.unpack_from("<I", data, 12)[0]:
            raise Damaged(path + ": no segment")
        self.number, self.time = struct.unpack_from("<Qq", data, 16)
        self.chunk, self.sealed, at = b"", False, HEAD
        while len(data) - at >= FRAME and not self.sealed:
            length, crc = struct.unpack_from("<II", data, at)
            payload = data[at + FRAME:at + FRAME + length]
            if not length:
                self.sealed = crc == crc32c(struct.pack("<QQ", self.number, len(self.chunk)))
                if not self.sealed:
                    break
            elif len(payload) < length or crc != crc32c(data[at:at + 4] + payload):
                break
            self.chunk += payload
            at += FRAME + length
        self.lost = len(data) - at
        self.at, self.families, self.places, self.samples = 0, [], {}, []
        self.expected, self.last = None, None
        while self.at < len(self.chunk):
            self.item()

    def number_(self):
        n = shift = 0
        while True:
            byte = self.chunk[self.at]
            n, self.at, shift = n | (byte & 0x7F) << shift, self.at + 1, shift + 7
            if byte < 0x80:
                return n

    def signed(self):
        n = self.number_()
        return n >> 1 ^ -(n & 1)

    def text(self):
        length = self.number_()
        self.at += length
        return self.chunk[self.at - length:self.at].decode()

    def item(self):
        kind = self.chunk[self.at]
        self.at += 1
        if kind < 0x80:
            self.grown(kind - 63)
        elif kind < 0xC0:
            for _ in range(kind - 127):
                self.tell()
        elif kind == 0xC0:
            self.grown(self.signed())
        elif 0xC1 <= kind <= 0xC5:
            cell = self.cell()
            cell["scale"], cell["units"] = kind - 0xC0, self.signed()
            self.scaled(cell)
        elif 0xD0 <= kind <= 0xD8:
            cell, n = self.cell(), kind - 0xD0
            bits = int.from_bytes(self.chunk[self.at:self.at + n], "little") ^ struct.unpack("<Q", struct.pack("<d", cell["value"] or 0.0))[0]
            self.at += n
            cell["scale"], cell["value"] = None, struct.unpack("<d", struct.pack("<Q", bits))[0]
            self.tell()
        elif kind == 0xE0:
            self.expected = self.number_()
            if self.last is not None:
                self.last["next"] = self.expected
        elif kind == 0xE1:
            self.time += self.signed()
        elif kind == 0xE2:
            family = {"name": self.text(), "label": self.text(), "stale": self.signed(), "metrics": []}
            for _ in range(self.number_()):
                family["metrics"].append(self.text())
                self.text(), self.number_(), self.number_()
                for _ in range(self.number_()):
                    self.text()
            self.families.append(family)
        elif kind == 0xE3:
            place, family, name = self.number_(), self.families[self.number_()], self.text()
            start = family["name"] + ":" + (name + ":" if name else "")
            self.places[place] = [{"name": start + m, "value": None, "scale": None, "units": 0, "next": place * METRICS + k + 1}
                                  for k, m in enumerate(family["metrics"])]
        elif kind == 0xE4:
            del self.places[self.number_()]
        elif kind not in (0xE5, 0xE6):
            raise Damaged("segment %d: %02x at %d" % (self.number, kind, self.at - 1))

    def cell(self):
        return self.places[self.expected // METRICS][self.expected % METRICS]

    def tell(self):
        cell = self.cell()
        self.samples.append((cell["name"], self.time, cell["value"]))
        self.last, self.expected = cell, cell["next"]

    def grown(self, units):
        cell = self.cell()
        cell["units"] += units
        self.scaled(cell)

    def scaled(self, cell):
        factor, times = SCALES[cell["scale"]]
        cell["value"] = cell["units"] * factor if times and factor > 1 else cell["units"] / factor
        self.tell()


def segments(folder):
    """{number: its path}"""
    return {int(x[:-4], 16): os.path.join(folder, x) for x in os.listdir(folder) if x.endswith(".seg")}


class Copies:
    """Of all segments that ever were, as they were last, each read once for each of its sizes"""

    def __init__(self, journal, to):
        self.journal, self.to = journal, to
        self.sizes, self.read = {}, {}
        os.makedirs(to)

    def take(self):
        """After kithd was killed: the numbers of those that are there"""
        there = segments(self.journal)
        for number, path in there.items():
            with open(path, "rb") as f:
                data = f.read()
            if not data or self.sizes.get(number) == len(data):
                continue
            with open(os.path.join(self.to, os.path.basename(path)), "wb") as f:
                f.write(data)
            self.sizes[number] = len(data)
            before = self.read.get(number)
            self.read[number] = now = Segment(os.path.join(self.to, os.path.basename(path)))
            # It was only added to: its seal, or what came after.
            assert before is None or now.chunk[:len(before.chunk)] == before.chunk, "segment %d has lost what it had" % number
        return set(there)

    def forget(self, number):
        """Somebody has cut it off: what it has now is all of it"""
        del self.sizes[number], self.read[number]

    def samples(self, numbers, names):
        return [x for n in sorted(numbers) if n in self.read for x in self.read[n].samples if x[0] in names]
