"""A configuration file with code inside."""

from pathlib import Path

from small_study import CONFIGS, run


def test_snakemake_makes_no_objects_of_a_configuration(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    file = tmp_path / "study.yaml"
    file.write_text(f"seed: !!python/object/apply:os.mkdir ['{marker}']\n")
    status, said = run(tmp_path, "--dry-run", "--", "results/table2.csv", configs=[*CONFIGS, str(file)])
    assert status != 0
    assert "not valid JSON or YAML" in said
    assert not marker.exists()
