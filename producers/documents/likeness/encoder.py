"""Turns a text into a vector, so that texts that mean nearly the same have vectors of nearly the same direction.

The model all-MiniLM-L6-v2 is a BERT of six layers: its forward pass is a few products of matrices, for which numpy is
enough. Source: Devlin et al., "BERT" (2019); Reimers and Gurevych, "Sentence-BERT" (2019), mean pooling.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from schemas.errors import ConfigurationError

Vectors: TypeAlias = npt.NDArray[np.float32]
_AT_ONCE = 32
_MOST_CHARACTERS: Final = 500
"""What a text is cut to before it is looked at; the model sees its first 128 pieces of words anyway."""


class Encoder:
    """The model in memory, about 90 MB. The same text has the same vector, whatever it is asked together with."""

    def __init__(self, directory: Path) -> None:
        """Raises ConfigurationError where the files are no such model."""
        try:
            told = json.loads((directory / "config.json").read_text(encoding="utf-8"))
            self._heads, self._epsilon = int(told["num_attention_heads"]), float(told["layer_norm_eps"])
            self._layers, self.dimensions = int(told["num_hidden_layers"]), int(told["hidden_size"])
            self._weights: dict[str, Vectors] = load_file(directory / "model.safetensors")
            self._tokenizer: Any = Tokenizer.from_file(str(directory / "tokenizer.json"))
            self._tokenizer.no_padding()
            # Weights that are missing or of a wrong shape show now, and not with an order in hand.
            self.vectors(["tea"])
        except Exception as exc:
            raise ConfigurationError(f"{directory} holds no model that can be read: {exc}") from exc
        if (told.get("model_type"), told.get("hidden_act")) != ("bert", "gelu"):
            raise ConfigurationError(f"{directory} holds no BERT model with the activation GELU")

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """One row of length 1 for each text, in their order: the product of two rows is how near they are, up to 1."""
        found = np.zeros((len(texts), self.dimensions), np.float32)
        for places, pieces in self._batches(texts):
            found[places] = self._forward(pieces)
        return found

    def _batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], npt.NDArray[np.int64]]]:
        """Texts of as many pieces go together: nothing is filled up, so nothing filled up can change a vector."""
        pieces = [one.ids for one in self._tokenizer.encode_batch([_sound(text) for text in texts])]
        by_length: dict[int, list[int]] = defaultdict(list)
        for place, ids in enumerate(pieces):
            by_length[len(ids)].append(place)
        for places in by_length.values():
            for start in range(0, len(places), _AT_ONCE):
                batch = places[start : start + _AT_ONCE]
                yield batch, np.array([pieces[place] for place in batch], np.int64)

    def _forward(self, pieces: npt.NDArray[np.int64]) -> Vectors:
        state = (
            self._weights["embeddings.word_embeddings.weight"][pieces]
            + self._weights["embeddings.position_embeddings.weight"][: pieces.shape[1]]
            + self._weights["embeddings.token_type_embeddings.weight"][0]
        )
        state = self._normalised(state, "embeddings.LayerNorm")
        for layer in range(self._layers):
            state = self._layer(state, f"encoder.layer.{layer}")
        pooled: Vectors = state.mean(axis=1)
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        return pooled

    def _layer(self, state: Vectors, name: str) -> Vectors:
        attended = self._linear(self._attention(state, f"{name}.attention.self"), f"{name}.attention.output.dense")
        state = self._normalised(state + attended, f"{name}.attention.output.LayerNorm")
        inner = _gelu(self._linear(state, f"{name}.intermediate.dense"))
        return self._normalised(state + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _attention(self, state: Vectors, name: str) -> Vectors:
        query, key, value = (self._by_head(self._linear(state, f"{name}.{part}")) for part in ("query", "key", "value"))
        scores = query @ key.swapaxes(-1, -2) / np.float32(np.sqrt(query.shape[-1]))
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        attended: Vectors = (weights @ value).swapaxes(1, 2).reshape(state.shape)
        return attended

    def _by_head(self, state: Vectors) -> Vectors:
        return state.reshape(*state.shape[:2], self._heads, -1).swapaxes(1, 2)

    def _linear(self, state: Vectors, name: str) -> Vectors:
        product: Vectors = state @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return product

    def _normalised(self, state: Vectors, name: str) -> Vectors:
        centred = state - state.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(self._epsilon))
        scaled: Vectors = centred / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return scaled


def _gelu(state: Vectors) -> Vectors:
    return state * np.float32(0.5) * (1 + _erf(state * np.float32(np.sqrt(0.5))))


def _erf(state: Vectors) -> Vectors:
    """Within 1.5e-7, which is what these numbers have. Source: Abramowitz and Stegun (1964), 7.1.26."""
    size = np.abs(state)
    step = 1 / (1 + np.float32(0.3275911) * size)
    sum_ = step * np.float32(1.061405429) - np.float32(1.453152027)
    for factor in (1.421413741, -0.284496736, 0.254829592):
        sum_ = sum_ * step + np.float32(factor)
    found: Vectors = np.sign(state) * (1 - sum_ * step * np.exp(-size * size))
    return found


def _sound(text: str) -> str:
    """Half a surrogate pair, as a broken file may hold it, is no text for the tokenizer."""
    return text[:_MOST_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
