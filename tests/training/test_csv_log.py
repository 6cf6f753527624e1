"""The log of a run: damaged ones, and columns that come and go."""

import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.training.csv_log import CsvLog, read_log


@pytest.mark.parametrize(
    "content",
    [
        b"step,loss\n1,2,3\n",
        b"loss\n1\n",
        b"no log at all",
        b"",
        b"step\nabc\n",
        b"step,loss\n1.5,2\n",
        b"step,loss\nnan,2\n",
        b"step,loss\n1,\x00\n",
        b"step,loss\n1," + b"x" * 200_000,
        b"\xff\xfe\xff",
        b"step,loss\n1\n",
        b"step,loss\n1" + b"0" * 400 + b",2\n",
    ],
)
def test_a_damaged_log_is_one_line(tmp_path, content):
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read .*log\.csv: .*") as error:
        read_log(tmp_path / "log.csv", "loss")
    assert "\n" not in str(error.value)


def test_a_log_goes_on_with_other_columns(tmp_path):
    """A newer version may log more, or less."""
    (tmp_path / "log.csv").write_text("step,loss,old\n1,2.0,3\n")
    CsvLog(tmp_path / "log.csv", "loss").append({"step": 2, "loss": 1.0, "new": 4})
    assert (tmp_path / "log.csv").read_text().splitlines() == [
        "step,loss,old,new",
        "1,2.0,3,",
        "2,1.0,,4",
    ]
