// From utterances to batches of spectrograms: sorted by length, so that little is padding.

/// Utterances as a data set: inputs f32 [n, 1, bins, frames] and their frames i64 [n]; targets i64 [n, letters], padded
/// with 0, and their letters i64 [n]. Longest first, as packed sequences want it.
///
/// Batches are made of utterances of similar length ("bins"). In the first epoch they come from the shortest to the
/// longest, which is easier to learn from ("SortaGrad": Amodei et al. 2016), later in random order. The loader must not
/// shuffle.
struct SpeechBatches: Dataset {
  let source: any SpeechSource
  let spectrogram: Spectrogram
  let batchSize: Int
  let isShuffled: Bool
  let seed: UInt64
  /// Utterances by length.
  private let sorted: [Int]

  init(_ source: any SpeechSource, batchSize: Int, isShuffled: Bool, seed: UInt64) {
    self.source = source
    spectrogram = Spectrogram(sampleRate: source.sampleRate)
    (self.batchSize, self.isShuffled, self.seed) = (batchSize, isShuffled, seed)
    let lengths = (0..<source.count).map(source.length)
    sorted = (0..<source.count).sorted { (lengths[$0], $0) < (lengths[$1], $1) }
  }

  var count: Int { source.count }

  /// The utterances of a batch, shortest first.
  func bin(_ number: Int, epoch: Int) -> ArraySlice<Int> {
    var bin = number
    if isShuffled, epoch > 0 {
      var random = SeededRandom(seed, epoch, -2)
      bin = random.permutation((count + batchSize - 1) / batchSize)[number]
    }
    return sorted[(bin * batchSize)..<min((bin + 1) * batchSize, count)]
  }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    let utterances = Array(bin(indices[0] / batchSize, epoch: epoch).reversed())
    let sounds = try utterances.map(source.samples)
    let frames = sounds.map { spectrogram.frameCount(samples: $0.count) }
    let longest = frames.max() ?? 0
    let size = spectrogram.binCount * longest
    let values = [Float](unsafeUninitializedCapacity: utterances.count * size) { buffer, count in
      buffer.initialize(repeating: 0)
      for (place, sound) in sounds.enumerated() {
        spectrogram.write(
          sound, into: UnsafeMutableBufferPointer(rebasing: buffer[(place * size)..<((place + 1) * size)]),
          stride: longest)
      }
      count = buffer.count
    }
    let labels = utterances.map { SpeechAlphabet.encode(source.transcript($0)) }
    let letters = labels.map(\.count).max() ?? 0
    let n = utterances.count
    return Batch(
      samples: n,
      inputs: [
        HostTensor(values, shape: [n, 1, spectrogram.binCount, longest]), HostTensor(integers: frames, shape: [n]),
      ],
      targets: [
        HostTensor(
          integers: labels.flatMap { $0 + [Int](repeating: 0, count: letters - $0.count) }, shape: [n, letters]),
        HostTensor(integers: labels.map(\.count), shape: [n]),
      ])
  }
}
