// How big is the model and what does a sample cost (the technical report's Figure 2)?
import ProfileModel

/// Size and cost of the model, by the conventions named.
public struct ModelCharacteristics: Codable, Sendable, Equatable {
  /// Learnable parameters.
  public var parameters: Measured<Double>
  /// FLOPs of one sample's forward pass, one multiply-accumulate being two (as `torch.utils.flop_counter`).
  public var forwardFlopsPerSample: Measured<Double>
  /// FLOPs of one sample's training step: forward and backward, same convention.
  public var trainingFlopsPerSample: Measured<Double>
  /// Multiply-accumulates of one sample's forward pass.
  public var forwardMACsPerSample: Measured<Double>
  /// What the OpCounter tool of 2020 reports for one sample's forward pass: the paper's convention.
  public var forwardOpCounter2020PerSample: Measured<Double>
  /// Epochs of training until the target quality was reached.
  public var epochsToQuality: Measured<Double>
}

extension ModelCharacteristics {
  static func of(_ run: Run) -> ModelCharacteristics {
    func declared(_ name: String) -> Measured<Double> {
      let value = run.number(name)
      if value.value != nil || run.profile.settings["kind"] == "benchmark" { return value }
      return .unavailable(
        Unavailable(
          "\(name) is declared by Kiviat's own benchmarks only", remedy: "kiviat list benchmarks"))
    }
    return ModelCharacteristics(
      parameters: declared("model.parameters"),
      forwardFlopsPerSample: declared("model.forward_flops_per_sample"),
      trainingFlopsPerSample: declared("model.training_flops_per_sample"),
      forwardMACsPerSample: declared("model.forward_macs_per_sample"),
      forwardOpCounter2020PerSample: declared("model.forward_opcounter2020_per_sample"),
      epochsToQuality: TrainingCharacteristics.whenReached(run, run.number("training.epochs")))
  }
}
