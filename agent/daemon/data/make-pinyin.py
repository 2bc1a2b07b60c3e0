"""Writes pinyin.txt: what the touch keyboard offers for pinyin.

    python -m venv v && v/bin/pip install jieba==0.42.1 pypinyin==0.55.0 && v/bin/python make-pinyin.py > pinyin.txt

Words and how often they occur are jieba's (MIT), readings pypinyin's (MIT); what lessons are called comes from agent/core/tests/search/topics.tsv. Names
of persons are left out. A line is the reading
with ' between its syllables, a tab, and the words so read: each with a letter for how often it occurs (a seldom, z most often).
"""
import math
import os
import re
import sys

import jieba
import pypinyin

WORDS = 24000
TOPICS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../core/tests/search/topics.tsv")
# A word of a lesson's name counts at least so much, a whole name so much.
SCHOOL, NAME = 4000, 400
CHARACTERS = [bytes([a, b]).decode("gb2312", "ignore") for a in range(0xB0, 0xF8) for b in range(0xA1, 0xFF)]


def weight(count):
    return chr(ord("a") + min(25, int(math.log2(count + 1) * 1.25)))


def main():
    counts, words = {}, []
    with open(os.path.join(os.path.dirname(jieba.__file__), "dict.txt"), encoding="utf-8") as lines:
        for line in lines:
            word, count, *kind = line.split()
            counts[word] = int(count)
            han = all("\u4e00" <= c <= "\u9fff" for c in word)
            if han and 2 <= len(word) <= 6 and not (kind and kind[0].startswith("nr")):
                words.append((int(count), word))
    words.sort(key=lambda one: (-one[0], one[1]))
    words = dict(reversed([(word, count) for count, word in words[:WORDS]]))
    with open(TOPICS, encoding="utf-8") as lines:
        names = [run for line in lines if not line.startswith("#") for run in re.findall("[\u4e00-\u9fff]+", line)]
    for name in names:
        for word in jieba.cut(name, HMM=False):
            if 2 <= len(word) <= 6:
                words[word] = max(words.get(word, 0), SCHOOL)
        if 2 <= len(name) <= 6:
            words[name] = max(words.get(name, 0), NAME)
    found = {}

    def add(reading, word, count):
        held = found.setdefault(reading, {})
        held[word] = max(held.get(word, 0), count)

    for word, count in words.items():
        reading = pypinyin.lazy_pinyin(word, errors="ignore", v_to_u=False)
        if len(reading) == len(word) and all(s.isascii() and s.isalpha() for s in reading):
            add("'".join(reading), word, count)
    for character in CHARACTERS:
        if len(character) != 1:
            continue
        readings = pypinyin.pinyin(character, style=pypinyin.Style.NORMAL, heteronym=True, v_to_u=False)[0]
        for place, reading in enumerate(readings):
            if reading.isascii() and reading.isalpha():
                add(reading, character, counts.get(character, 1) // (1 if place == 0 else 20))
    for reading in sorted(found, key=lambda r: (r.replace("'", ""), r)):
        row = sorted(found[reading].items(), key=lambda one: (-one[1], one[0]))
        sys.stdout.write(reading + "\t" + " ".join(w + weight(c) for w, c in row) + "\n")


main()
