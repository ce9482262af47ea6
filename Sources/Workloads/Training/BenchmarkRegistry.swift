// Which benchmarks there are.

/// All component benchmarks. A new one is added to the list here.
public enum BenchmarkRegistry {
  /// In the order of their ids.
  public static var all: [any Benchmark.Type] {
    [
      ImageClassification.self,
      ImageGeneration.self,
      ImageToText.self,
      ImageToImage.self,
      SpeechRecognition.self,
      FaceEmbedding.self,
      FaceRecognition3D.self,
      ObjectDetection.self,
      Recommendation.self,
      VideoPrediction.self,
      ImageCompression.self,
      ObjectReconstruction.self,
      TextSummarization.self,
      SpatialTransformer.self,
      LearningToRank.self,
      NeuralArchitectureSearch.self,
      Advertising.self,
      ObjectDetectionHeavy.self,
      ReinforcementLearning.self,
      ObjectDetectionLight.self,
    ]
  }

  /// The benchmark of an id or a name, in any case.
  public static func find(_ text: String) -> (any Benchmark.Type)? {
    let wanted = text.lowercased()
    return all.first { $0.info.id.lowercased() == wanted || $0.info.name.lowercased() == wanted }
  }
}
