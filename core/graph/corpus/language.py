"""Stop-words of English and Chinese."""

from __future__ import annotations

__all__ = ["stop_words"]

# Particles, pronouns, prepositions, conjunctions, auxiliaries, measure words and adverbs of degree of modern Chinese.
_CHINESE_WORDS = """
的 了 着 过 地 得 之 所 们 吗 呢 吧 啊 呀 嘛 哦 啦 哪 么 我 你 您 他 她 它 我们 你们 他们 她们 它们
咱们 自己 大家 这 那 哪个 这个 那个 这些 那些 这样 那样 这里 那里 这儿 那儿 什么 怎么 怎样 怎么样 为什么 谁
多少 几 每 各 某 另 其 其他 其它 其中 在 从 自 向 往 到 对 对于 关于 由 由于 被 把 将 给 让 叫 为 为了
以 以及 用 按 按照 根据 跟 和 与 同 及 或 或者 而 而且 并 并且 但 但是 可是 不过 然而 虽然 尽管 即使 如果
要是 假如 只要 只有 除了 除非 因为 因此 所以 于是 然后 那么 则 就 就是 才 都 也 还 还是 又 再 再次 已 已经
曾 曾经 正 正在 将要 会 能 能够 可以 可能 应 应该 应当 要 想 得到 必须 是 有 没 没有 不 不是 不会 不能 不要
别 很 太 非常 更 最 比 比较 十分 特别 真 真的 挺 相当 越 越来越 只 仅 仅仅 个 些 一 一个 一些 一种 一样
一下 一直 一般 种 次 位 件 只是 上 下 里 中 内 外 前 后 时 时候 之后 之前 以后 以前 以来 以上 以下 等 等等
来 去 起来 下来 出来 上去 下去 却 便 均 即 且 若 乃 至 至于 甚至 例如 比如 如 如此 如何 像 似的 与其 不仅
不但 此 此外 本 该 呵 哈 嗯 唉 哎
"""
_CHINESE = frozenset(_CHINESE_WORDS.split())


def stop_words(language: str) -> frozenset[str] | None:
    """Return the lower-case stop-words of a language: spaCy's for English, a list of our own for Chinese, else None."""
    if language == "en":
        from spacy.lang.en.stop_words import STOP_WORDS

        return frozenset(STOP_WORDS)
    return _CHINESE if language == "zh" else None
