// How the learning rate changes over a training run.
import Glibc

/// A factor on the base rate for every step, counted from 0.
public indirect enum LearningRateSchedule: Sendable {
  case constant
  /// × `factor` after every `epochs` epochs.
  case step(epochs: Int, factor: Double)
  /// × `factor` at each of these epochs.
  case milestones([Int], factor: Double)
  /// From 1 to `end` along half a cosine over the whole run (Loshchilov and Hutter 2017).
  case cosine(end: Double = 0)
  /// Up from `start` to 1 in the first `rise` of the run, down to `end`, both along cosines (Smith and Topin 2018).
  case oneCycle(rise: Double = 0.3, start: Double = 0.04, end: Double = 4e-6)
  /// 1 in the first `after` (a share) of the epochs, then lower from epoch to epoch, in equal steps that would reach 0 after the
  /// last one.
  case linearDecay(after: Double)
  /// Linear from 0 over the first steps, then another schedule.
  case warmUp(steps: Int, then: LearningRateSchedule)

  /// The factor at `step` of `total`, with `stepsPerEpoch` in an epoch.
  public func factor(step: Int, stepsPerEpoch: Int, total: Int) -> Double {
    let epoch = step / max(stepsPerEpoch, 1)
    switch self {
    case .constant: return 1
    case .step(let epochs, let factor): return pow(factor, Double(epoch / max(epochs, 1)))
    case .milestones(let epochs, let factor): return pow(factor, Double(epochs.count { $0 <= epoch }))
    case .cosine(let end):
      return Self.anneal(1, end, Double(step) / Double(max(total, 1)))
    case .oneCycle(let rise, let start, let end):
      // PyTorch's OneCycleLR: the peak is at step rise × total − 1, the end at the last step.
      let peak = rise * Double(total) - 1
      let at = Double(step)
      if at <= peak { return Self.anneal(start, 1, peak > 0 ? at / peak : 1) }
      return Self.anneal(1, end, min((at - peak) / max(Double(total) - 1 - peak, 1), 1))
    case .linearDecay(let share):
      let epochs = Double(total / max(stepsPerEpoch, 1))
      let constant = (share * epochs).rounded(.down)
      return 1 - max(0, Double(epoch + 1) - constant) / (epochs - constant + 1)
    case .warmUp(let steps, let then):
      let factor = then.factor(step: step, stepsPerEpoch: stepsPerEpoch, total: total)
      return step < steps ? factor * Double(step + 1) / Double(steps) : factor
    }
  }

  private static func anneal(_ from: Double, _ to: Double, _ fraction: Double) -> Double {
    to + (from - to) / 2 * (1 + cos(.pi * fraction))
  }
}
