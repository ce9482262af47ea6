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
