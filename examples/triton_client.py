"""Play a generator that a Triton server holds, block by block, into a WAV file.

pip install 'tritonclient[grpc]' soundfile
python examples/triton_client.py --url 127.0.0.1:8001 --seconds 30 --out new.wav
"""

import argparse
import json
import secrets

import numpy as np
import soundfile
import tritonclient.grpc as triton

BLOCK_SECONDS = 0.5


def stream(client, model, seconds, random_seed, controls):
    """Yield audio `(samples,)` or `(samples, channels)`, one sequence of requests in all.

    All chance is in the noise, which the client draws: the same seed gives the same audio as
    `keras-rawaudio-generate --random-seed`.
    """
    config = client.get_model_config(model).config
    about = json.loads(config.parameters["keras_rawaudio"].string_value)
    values = {control["name"]: control["default"] for control in about["controls"]} | controls
    frame, channels = about["frame"], about.get("channels", 1)
    last = [channels] if channels > 1 else []
    given = {"forced": np.zeros((1, 0, *last), np.float32)}
    if "music" in about:
        given["music"] = np.eye(1, len(about["music"]["names"]), dtype=np.float32)  # the first
    given |= {name: np.full((1, 1), value, np.float32) for name, value in values.items()}

    noise = np.random.default_rng([random_seed, 0])
    sequence = secrets.randbits(62) + 1  # 0 would be no sequence
    late = about.get("delay", 0)  # the first samples belong to what was read before
    left, start = round(seconds * about["sample_rate"]) + late, True
    block = -(-round(BLOCK_SECONDS * about["sample_rate"]) // frame) * frame
    while left > 0:
        shape = 1, min(block, -(-left // frame) * frame), about["noise_per_sample"]
        given["noise"] = noise.random(shape, np.float32)
        inputs = [triton.InferInput(name, x.shape, "FP32") for name, x in given.items()]
        for tensor, x in zip(inputs, given.values(), strict=True):
            tensor.set_data_from_numpy(x)
        end = left <= shape[1]
        result = client.infer(
            model, inputs, sequence_id=sequence, sequence_start=start, sequence_end=end
        )
        audio = result.as_numpy("audio")[0][:left]
        left, start = left - len(audio), False
        yield audio[late:]
        late = max(0, late - len(audio))


def main(argv=None):
    """Read the command line, and write the file."""
    parser = argparse.ArgumentParser(description="Play a generator that a Triton server holds.")
    parser.add_argument("--url", default="127.0.0.1:8001", help="of Triton's gRPC service")
    parser.add_argument("--model", default="generator", help="its name on the server")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--random-seed", type=int, default=None)
    parser.add_argument("--control", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--out", default="new.wav")
    args = parser.parse_args(argv)
    seed = secrets.randbits(32) if args.random_seed is None else args.random_seed
    pairs = (text.split("=") for text in args.control)
    controls = {name: float(value) for name, value in pairs}
    with triton.InferenceServerClient(args.url) as client:
        about = client.get_model_config(args.model).config.parameters["keras_rawaudio"]
        rate = json.loads(about.string_value)["sample_rate"]
        blocks = stream(client, args.model, args.seconds, seed, controls)
        soundfile.write(args.out, np.concatenate(list(blocks)), rate)


if __name__ == "__main__":
    main()
