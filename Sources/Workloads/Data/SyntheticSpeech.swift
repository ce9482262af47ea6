// A stand-in for read speech: every letter is a tone, every word a short melody.

/// Utterances of random words. A letter sounds as a tone with one overtone, 60 to 100 ms long, and swells and fades
/// (Hann's window); 20 ms lie between letters, a space is silent; noise lies over everything. To know a letter, a
/// network has to find its pitch; to know how many there are, it has to follow the gaps.
struct SyntheticSpeech: SpeechSource {
  /// What differs between the scales.
  struct Kind: Sendable {
    var sampleRate: Int
    /// Letters in use, from A.
    var letterCount: Int
    /// Pitch of A, and from letter to letter, in Hz.
    var pitch: (lowest: Double, step: Double)
    /// Words of an utterance, if it is not to last so many seconds.
    var words: ClosedRange<Int>
    /// Words are added until the utterance lasts so long.
    var seconds: ClosedRange<Double>
    /// Deviation of the noise; a tone's amplitude is at most 0.5.
    var noise: Double

    /// Short utterances at 8 kHz: half a second on average.
    static let small = Kind(
      sampleRate: 8000, letterCount: 12, pitch: (400, 150), words: 1...3, seconds: 0...0, noise: 0.35)
    /// As long as LibriSpeech's, which last 12 seconds on average.
    static let librispeech = Kind(
      sampleRate: 16_000, letterCount: 26, pitch: (300, 120), words: 1...1, seconds: 8...15, noise: 0.1)
  }

  /// A letter (from 0) or silence, and how many samples it takes.
  private struct Sound {
    var letter: Int?
    var length: Int
  }

  let count: Int
  let seed: UInt64
  private let kind: Kind
  private let scores: [[Sound]]

  /// The scores are written at once, the sounds made when asked for.
  init(_ kind: Kind, count: Int, seed: UInt64) {
    self.kind = kind
    self.count = count
    self.seed = seed
    scores = (0..<count).map { index in
      var random = SeededRandom(seed, 6, index)
      func length(_ milliseconds: ClosedRange<Int>) -> Int {
        (milliseconds.lowerBound + random.integer(below: milliseconds.count)) * kind.sampleRate / 1000
      }
      let gap = 20 * kind.sampleRate / 1000
      let words = kind.words.lowerBound + random.integer(below: kind.words.count)
      let duration = Int(random.uniform(kind.seconds) * Double(kind.sampleRate))
      var score = [Sound(letter: nil, length: gap)]
      var total = gap
      var word = 0
      while word < words || total < duration {
        var sounds: [Sound] = word > 0 ? [Sound(letter: nil, length: length(60...100))] : []
        for _ in 0..<(2 + random.integer(below: 3)) {
          sounds += [
            Sound(letter: random.integer(below: kind.letterCount), length: length(60...100)),
            Sound(letter: nil, length: gap),
          ]
        }
        let longer = total + sounds.reduce(0) { $0 + $1.length }
        // The last word may not lead beyond the longest utterance of the kind.
        if word >= words, Double(longer) > kind.seconds.upperBound * Double(kind.sampleRate) { break }
        score += sounds
        total = longer
        word += 1
      }
      return score
    }
  }

  var sampleRate: Int { kind.sampleRate }

  var origin: String {
    "synthetic: \(count) utterances in tones, \(kind.letterCount) letters, \(kind.sampleRate) Hz, seed \(seed)"
  }

  func length(_ index: Int) -> Int { scores[index].reduce(0) { $0 + $1.length } }

  func transcript(_ index: Int) -> String {
    var text: [UInt8] = []
    let gap = 20 * kind.sampleRate / 1000
    for (place, sound) in scores[index].enumerated() {
      if let letter = sound.letter {
        text.append(0x41 + UInt8(letter))
      } else if place > 0, sound.length > gap {
        text.append(0x20)
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  func samples(_ index: Int) -> [Int16] {
    var random = SeededRandom(seed, 7, index)
    var samples: [Int16] = []
    samples.reserveCapacity(length(index))
    for sound in scores[index] {
      // A tone by a rotating unit vector: one multiplication a sample instead of a sine.
      var tone = Rotation(), overtone = Rotation(), swell = Rotation()
      if let letter = sound.letter {
        let pitch = kind.pitch.lowest + kind.pitch.step * Double(letter)
        tone = Rotation(turnsPerStep: pitch / Double(kind.sampleRate))
        overtone = Rotation(turnsPerStep: 1.5 * pitch / Double(kind.sampleRate))
        swell = Rotation(turnsPerStep: 1 / Double(sound.length))
      }
      for _ in 0..<sound.length {
        var value = kind.noise * random.normal()
        if sound.letter != nil {
          value += 0.25 * (1 - swell.cosine) * (0.7 * tone.sine + 0.3 * overtone.sine)
          tone.step()
          overtone.step()
          swell.step()
        }
        samples.append(Int16(min(max(value * 16_384, -32_768), 32_767)))
      }
    }
    return samples
  }

  /// A unit vector that turns by the same angle at each step.
  private struct Rotation {
    private(set) var cosine = 1.0
    private(set) var sine = 0.0
    private let turn: (sine: Double, cosine: Double)

    init(turnsPerStep: Double = 0) { turn = Reproducible.sineCosine(2 * 3.141592653589793 * turnsPerStep) }

    mutating func step() {
      (cosine, sine) = (cosine * turn.cosine - sine * turn.sine, sine * turn.cosine + cosine * turn.sine)
    }
  }
}
