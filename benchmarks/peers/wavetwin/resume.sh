# Train three epochs; train, kill -9 at step 30 of 63 or a little later, go on; compare the weights.
set -e
here="$(cd "$(dirname "$0")" && pwd)"
folder="$(mktemp -d)"
cp "$here/cnn.yaml" "$folder"
cd "$folder"
wavetwin build cnn.yaml --no-git --set training.epochs=3 > /dev/null
train=(python generated/*/train.py --device cpu --checkpoint-steps 1)
"${train[@]}" --runs whole > /dev/null
"${train[@]}" --runs parts > /dev/null &
done=0
while [ "${done:-0}" -lt 30 ]; do done="$(cat parts/*/*/steps 2> /dev/null | tr -dc 0-9)"; done="$((10#${done:-0}))"; sleep 0.01; done
kill -KILL $!
wait $! || echo "killed at step $done"
"${train[@]}" --runs parts > /dev/null
sha256sum whole/*/*/checkpoints/last/model.safetensors parts/*/*/checkpoints/last/model.safetensors
