"""The bill of materials: what is installed, with the digests that the locks hold."""

from __future__ import annotations

from importlib.metadata import version

from deploy.security.bill_of_materials import bill_of_materials, locked_digests


def test_a_python_package_has_the_digests_of_its_locked_files() -> None:
    components = {one["purl"]: one for one in bill_of_materials()["components"]}
    purl = f"pkg:pypi/pydantic-core@{version('pydantic-core')}"
    (told,) = components[purl]["externalReferences"]
    digests = [one["content"] for one in told["hashes"]]
    assert (told["type"], told["url"]) == ("distribution", purl)
    assert digests == sorted(locked_digests()["pydantic-core", version("pydantic-core")])
    # One for each platform, each once, though several locks name them.
    assert len(set(digests)) == len(digests) > 10
    assert all(len(digest) == 64 for digest in digests)


def test_a_java_archive_has_its_own_digest() -> None:
    archives = [one for one in bill_of_materials()["components"] if one["purl"].startswith("pkg:maven/")]
    assert len(archives) > 40
    assert all(one["hashes"][0]["alg"] == "SHA-256" and len(one["hashes"][0]["content"]) == 64 for one in archives)
