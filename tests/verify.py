#!/usr/bin/env python3
"""Checks an exported ledger with nothing but Python: verify.py EXPORT [KEY NOTE]. docs/ledger-format.md is the format."""
import base64, hashlib, json, sys, uuid

FIELDS = {"hash": str, "metadata": object, "organization": str, "payload": object, "recordedAt": str,
          "sequence": int, "type": str, "version": int}
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ROOT = -121665 * pow(121666, -1, P) % P, pow(2, (P - 1) // 4, P)
LONGEST = 256 * 1024

def need(condition, sentence):
    if not condition:
        raise ValueError(sentence)

def framed(*parts):
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()

def point(data):  # RFC 8032, section 5.1.3
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * ROOT % P
    need(len(data) == 32 and y < P and x * x % P == square and (x or not sign), "there is no such point")
    return (x if x & 1 == sign else P - x), y

def add(a, b):
    (x, y), (u, v) = a, b
    k = D * x * u * y * v % P
    return (x * v + u * y) * pow(1 + k, -1, P) % P, (y * v + x * u) * pow(1 - k, -1, P) % P

def times(number, a):
    sum = (0, 1)
    while number:
        sum, a, number = add(sum, a) if number & 1 else sum, add(a, a), number >> 1
    return sum

def signed(key, text, signature):
    first, second = signature[:32], int.from_bytes(signature[32:], "little")
    number = int.from_bytes(hashlib.sha512(first + key + text).digest(), "little") % L
    base = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    return len(signature) == 64 and second < L and times(second, base) == add(point(first), times(number, point(key)))

def opened(verifier, note):
    name, key_id, key = verifier.split("+", 2)
    key = base64.b64decode(key, validate=True)
    known = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    need(known.hex() == key_id and key[0] == 1, "the key is no verifier key")
    text, lines = note.rsplit("\n\n", 1)
    found = [base64.b64decode(line.split(" ")[2], validate=True) for line in lines.split("\n") if line.startswith(f"— {name} ")]
    found = [signature[4:] for signature in found if signature[:4] == known]
    need(found, "the note is not signed by this key")
    need(all(signed(key[1:], f"{text}\n".encode(), signature) for signature in found), "the note's signature is wrong")
    origin, size, head = text.split("\n")[:3]
    need(origin.startswith(f"{name}/"), "the note is of something else")
    return origin[len(name) + 1:], int(size), base64.b64decode(head, validate=True)

def whole(text):
    need(text != "-0" and abs(int(text)) <= 2**53, "a number is too large")
    return int(text)

def canonical(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

def check(file, note):
    count, head, owner, number = 0, b"", note and note[0], 0
    while line := file.readline(LONGEST + 1):
        number += 1
        try:
            need(line.endswith(b"\n"), "it does not end, or is too long")
            event = json.loads(line.decode(), parse_int=whole, parse_float=lambda text: need(False, "a fraction"),
                               parse_constant=lambda text: need(False, "no JSON"))
            need(type(event) is dict and event.keys() == FIELDS.keys(), "it has other fields than an event")
            need(all(kind is object or type(event[name]) is kind for name, kind in FIELDS.items()), "a wrong type")
            need(0 <= event["version"] < 2**32, "a wrong version")
            need(canonical(event) + b"\n" == line, "it is not in the canonical form")
            stated, organization, count = event.pop("hash"), event["organization"], count + 1
            owner = owner or organization
            need(organization == owner == str(uuid.UUID(owner)), "it is of another organization")
            need(event["sequence"] == count, f"sequence {count} has to stand here")
            head = head or framed(b"orgledger/chain/v1", owner.encode())
            head = framed(b"orgledger/event/v1", head, canonical(event))
            need(head.hex() == stated, f"sequence {count}: the event was changed, its hash is another one")
            need(not note or note[1] != count or note[2] == head, f"sequence {count}: the note has another hash for it")
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {number}: {error}")
    need(count, "the file has no event")
    need(not note or note[1] <= count, f"the file ends with {count}, the note has more")
    return f"{count} events hold, the last hash is {head.hex()}"

if __name__ == "__main__":
    try:
        note = opened(sys.argv[2], open(sys.argv[3], encoding="utf-8", newline="").read()) if len(sys.argv) > 3 else None
        print(check(open(sys.argv[1], "rb"), note))
    except (ValueError, IndexError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
