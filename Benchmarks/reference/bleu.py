#!/usr/bin/env python3
"""Reference BLEU scores, by sacreBLEU (pip install sacrebleu): lower case, international tokenization, no smoothing.

Prints the sentences' tokens and the corpus's score; the Swift tests carry them.
"""
import json

import sacrebleu
from sacrebleu.tokenizers.tokenizer_intl import TokenizerV14International

REFERENCES = [
    "The cat sat on the mat, didn't it?",
    "Prices rose by 3.5% (to $1,234.50) in 2014 - a record!",
    "He said: \"Guten Tag\" – and left…",
    "A completely different sentence of some length is here.",
]
OUTPUTS = [
    "the cat sat on the mat , did it ?",
    "Prices rose 3.5 % to $1,234.50 in 2014, a record.",
    "He said \"guten Tag\" and left.",
    "Here is a sentence of some length .",
]

tokenize = TokenizerV14International()
result = sacrebleu.corpus_bleu(
    OUTPUTS, [REFERENCES], lowercase=True, tokenize="intl", smooth_method="none", use_effective_order=False)
print(json.dumps({
    "tokens": [tokenize(line.lower()) for line in REFERENCES + OUTPUTS],
    "score": result.score, "matches": result.counts, "totals": result.totals,
    "lengths": [result.sys_len, result.ref_len], "sacrebleu": sacrebleu.__version__}, indent=1, ensure_ascii=False))
