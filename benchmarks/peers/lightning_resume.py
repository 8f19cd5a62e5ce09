"""A training in Lightning, whole and resumed, the task of docs/comparison.md."""

# pyright: basic, reportMissingImports=false
import lightning
import torch
from data import digits, network
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset


class Digits(lightning.LightningModule):
    def __init__(self, lr: float = 0.1, momentum: float = 0.9) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model = network()

    def training_step(self, batch, _):
        return cross_entropy(self.model(batch[0]), batch[1])

    def validation_step(self, batch, _):
        self.log("error", (self.model(batch[0]).argmax(1) != batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.hparams.lr, self.hparams.momentum)


def train(folder, steps, checkpoint=None):
    lightning.seed_everything(0, verbose=False)
    x, y, test_x, test_y = digits()
    loader = DataLoader(TensorDataset(x, y), 64, shuffle=True)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_steps=steps,
        logger=False,
        enable_progress_bar=False,
        deterministic=True,
        enable_model_summary=False,
        callbacks=[ModelCheckpoint(folder, save_last=True, every_n_train_steps=1)],
    )
    model = Digits()
    trainer.fit(model, loader, DataLoader(TensorDataset(test_x, test_y), 360), ckpt_path=checkpoint)
    return model


if __name__ == "__main__":
    whole = train("whole", 60).state_dict()
    for stop in (23, 30):  # 23 steps an epoch: at its end, and in the middle of the next one
        part = train(f"part{stop}", stop)
        resumed = train(f"resumed{stop}", 60, f"part{stop}/last.ckpt").state_dict()
        far = max((whole[k].double() - resumed[k].double()).abs().max().item() for k in whole)
        print(
            "stopped after",
            stop,
            "of 60 steps: equal",
            all(torch.equal(whole[k], resumed[k]) for k in whole),
            far,
        )
    again = train("again", 60).state_dict()
    print("the same twice", all(torch.equal(whole[k], again[k]) for k in whole))
