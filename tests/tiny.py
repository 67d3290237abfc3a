"""Tiny random encoders for tests: complete model folders that stock transformers loads, made in milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["FAMILIES", "WORDS", "shaped_encoder", "tiny_encoder"]

FAMILIES = ("bert", "distilbert", "roberta", "electra", "deberta-v2", "modernbert", "shaped_bert")

# One piece each in the WordPiece vocabulary; any other word of ASCII letters falls into single characters.
_TEXT = (
    "the a an and or but not no is was are be it this that of in on at to for with from by as he she they we you i "
    "film movie plot story actor good bad great awful fine dull fun funny sad love hate best worst very too so "
    "cat dog man woman city river house day night year time people word words sentence run ran read new old "
    "anna paul london paris berlin york acme inc bank lives works went said one two three four five "
    "##s ##ed ##ing ##er ##ly"
)
WORDS = tuple(_TEXT.split())
_CJK = "我你他是不的很好坏电影中国人在北京上海爱看了这那"
_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[]_{}|~"


def tiny_encoder(
    folder: Path | str,
    family: str = "bert",
    *,
    hidden: int = 32,
    layers: int = 2,
    heads: int = 2,
    intermediate: int = 64,
    max_positions: int = 128,
    dropout: float = 0.1,
    seed: int = 0,
) -> Path:
    """Write a randomly initialised encoder with its tokenizer and return the folder.

    Parameters
    ----------
    folder
        Where to write; created when missing.
    family
        One of :data:`FAMILIES`.
    hidden, layers, heads, intermediate, max_positions, dropout
        Its shape.
    seed
        Seed of the weights; the ambient random state is left as it was.
    """
    tokenizer = _tokenizer(family)
    config = _config(family, tokenizer, hidden, layers, heads, intermediate, max_positions, dropout)
    return _written(Path(folder), config, tokenizer, max_positions, seed)


def shaped_encoder(folder: Path | str, shape: Any, *, max_positions: int = 128, seed: int = 0) -> Path:
    """Write a randomly initialised encoder of a shape (:class:`core.config.shape.EncoderShape`); return the folder.

    Vocabulary and positions of the shape are those of the tiny tokenizer.
    """
    from core.models.shaped.configuration import config_of
    from core.models.shaped.register import register

    register()
    tokenizer = _tokenizer("shaped_bert")
    known = shape.model_copy(update={"vocabulary": len(tokenizer), "positions": max_positions})
    return _written(Path(folder), config_of(known, pad_token_id=tokenizer.pad_token_id), tokenizer, max_positions, seed)


def _written(target: Path, config: Any, tokenizer: Any, max_positions: int, seed: int) -> Path:
    import torch
    from transformers import AutoModel

    target.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModel.from_config(config)
        for name, parameter in model.named_parameters():
            # The usual deviation of 0.02 makes tiny encoders almost constant: tests need outputs that differ.
            if parameter.ndim == 2 and "norm" not in name.lower():
                parameter.data.normal_(0.0, 0.2)
    model.save_pretrained(target)
    tokenizer.model_max_length = max_positions
    tokenizer.save_pretrained(target)
    return target


def _vocabulary() -> dict[str, int]:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_PUNCTUATION, *_CHARACTERS]
    pieces += [f"##{character}" for character in _CHARACTERS]
    pieces += [*WORDS, *dict.fromkeys(_CJK)]
    return {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}


def _tokenizer(family: str) -> Any:
    from transformers import BertTokenizer, DebertaV2Tokenizer, RobertaTokenizer

    if family in ("bert", "distilbert", "electra", "shaped_bert"):
        return BertTokenizer(vocab=_vocabulary(), do_lower_case=True)
    if family == "deberta-v2":
        special = [(piece, 0.0) for piece in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "▁")]
        alphabet = dict.fromkeys([*_CHARACTERS, *_CHARACTERS.upper()[:26], *_PUNCTUATION, *_CJK])
        characters = [(character, -8.0) for character in alphabet]
        words = [(f"▁{word}", -4.0) for word in WORDS if not word.startswith("##")]
        return DebertaV2Tokenizer(vocab=[*special, *characters, *words], unk_id=1)
    vocabulary, merges = _byte_pairs()
    if family == "roberta":
        return RobertaTokenizer(vocab=vocabulary, merges=merges)
    if family == "modernbert":
        return _modern_tokenizer(vocabulary, merges)
    raise ValueError(f"unknown family {family!r}; one of {', '.join(FAMILIES)}")


def _byte_pairs() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return a byte-level vocabulary in which "Ġ" + a word of three letters at most is one piece."""
    from tokenizers.pre_tokenizers import ByteLevel

    vocabulary = {piece: index for index, piece in enumerate(("<s>", "<pad>", "</s>", "<unk>", "<mask>"))}
    for byte in sorted(ByteLevel.alphabet()):
        vocabulary[byte] = len(vocabulary)
    merges: dict[tuple[str, str], None] = {}
    for word in WORDS:
        if word.startswith("##") or len(word) > 3:
            continue
        piece = "Ġ"
        for character in word:
            merges.setdefault((piece, character))
            piece += character
            vocabulary.setdefault(piece, len(vocabulary))
    return vocabulary, list(merges)


def _modern_tokenizer(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    first, last = vocabulary["<s>"], vocabulary["</s>"]
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", first), ("</s>", last)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_input_names=["input_ids", "attention_mask"],
    )


def _config(
    family: str, tokenizer: Any, hidden: int, layers: int, heads: int, intermediate: int, positions: int, dropout: float
) -> Any:
    import transformers

    shared: dict[str, Any] = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    usual = {
        **shared,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
    }
    dropouts = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    if family == "bert":
        return transformers.BertConfig(**usual, **dropouts, max_position_embeddings=positions)
    if family == "shaped_bert":
        from core.config.shape import EncoderShape
        from core.models.shaped.configuration import config_of
        from core.models.shaped.register import register

        register()
        widths = [hidden, *(hidden // 2 for _ in range(layers - 1))]
        shape = EncoderShape.of_widths(
            widths, head_size=hidden // heads, ratio=intermediate / hidden, vocabulary=len(tokenizer),
            positions=positions,
        )  # fmt: skip
        return config_of(shape, **dropouts, pad_token_id=tokenizer.pad_token_id)
    if family == "electra":
        return transformers.ElectraConfig(
            **usual, **dropouts, embedding_size=hidden // 2, max_position_embeddings=positions
        )
    if family == "roberta":  # positions start behind the padding index
        return transformers.RobertaConfig(**usual, **dropouts, max_position_embeddings=positions + 2, type_vocab_size=1)
    if family == "distilbert":
        return transformers.DistilBertConfig(
            **shared,
            dim=hidden,
            n_layers=layers,
            n_heads=heads,
            hidden_dim=intermediate,
            dropout=dropout,
            attention_dropout=dropout,
            seq_classif_dropout=dropout,
            max_position_embeddings=positions,
        )
    if family == "deberta-v2":
        return transformers.DebertaV2Config(
            **usual,
            **dropouts,
            max_position_embeddings=positions,
            relative_attention=True,
            position_buckets=16,
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            pos_att_type=["p2c", "c2p"],
            position_biased_input=False,
            type_vocab_size=0,
            pooler_dropout=dropout,
        )
    if family == "modernbert":
        return transformers.ModernBertConfig(
            **usual,
            max_position_embeddings=positions,
            embedding_dropout=dropout,
            attention_dropout=dropout,
            mlp_dropout=dropout,
            classifier_dropout=dropout,
            bos_token_id=0,
            cls_token_id=0,
            eos_token_id=2,
            sep_token_id=2,
        )
    raise ValueError(f"unknown family {family!r}; one of {', '.join(FAMILIES)}")
