// What frequencies are in a sound, and when? Short-time Fourier transform, made on the loading thread.
import Foundation

/// The discrete Fourier transform of real signals of one even length, in O(n (sum of n's prime factors)).
///
/// The even samples become real, the odd ones imaginary parts of a signal of half the length, whose transform is
/// untangled afterwards (Sorensen et al. 1987).
struct RealFourierTransform: Sendable {
  /// Samples of the signal.
  let length: Int
  /// Frequencies that come out: length / 2 + 1.
  var binCount: Int { length / 2 + 1 }
  private let half: Int
  /// Prime factors of half the length, smallest last.
  private let factors: [Int]
  /// e^(−2πik/length) for k < length.
  private let cosines: [Float]
  private let sines: [Float]

  init(length: Int) {
    precondition(length >= 2 && length % 2 == 0, "the transform takes an even length")
    self.length = length
    half = length / 2
    var factors: [Int] = []
    var rest = half
    var factor = 2
    while rest > 1 {
      while rest % factor == 0 {
        factors.append(factor)
        rest /= factor
      }
      factor += 1
    }
    self.factors = factors.reversed()
    cosines = (0..<length).map { Float(cos(-2 * .pi * Double($0) / Double(length))) }
    sines = (0..<length).map { Float(sin(-2 * .pi * Double($0) / Double(length))) }
  }

  /// What a transform needs beside its input; one for each thread.
  struct Workspace {
    fileprivate var real, imaginary, otherReal, otherImaginary: [Float]

    init(_ transform: RealFourierTransform) {
      let zeros = [Float](repeating: 0, count: transform.half)
      (real, imaginary, otherReal, otherImaginary) = (zeros, zeros, zeros, zeros)
    }
  }

  /// Writes |X(k)| for k = 0 … length / 2.
  func magnitudes(
    of signal: UnsafeBufferPointer<Float>, into result: UnsafeMutableBufferPointer<Float>,
    _ workspace: inout Workspace
  ) {
    precondition(signal.count == length && result.count == binCount, "the buffers must fit the transform")
    for k in 0..<half {
      workspace.real[k] = signal[2 * k]
      workspace.imaginary[k] = signal[2 * k + 1]
    }
    transformHalf(&workspace)
    for k in 0...half {
      // Z = even + i odd: even is its conjugate-symmetric part, odd the antisymmetric one.
      let (a, b) = (k % half, (half - k) % half)
      let (sum, difference) = (
        workspace.real[a] + workspace.real[b], workspace.real[b] - workspace.real[a]
      )
      let even = (real: sum / 2, imaginary: (workspace.imaginary[a] - workspace.imaginary[b]) / 2)
      let odd = (real: (workspace.imaginary[a] + workspace.imaginary[b]) / 2, imaginary: difference / 2)
      let (c, s) = (cosines[k], sines[k])
      let real = even.real + c * odd.real - s * odd.imaginary
      let imaginary = even.imaginary + c * odd.imaginary + s * odd.real
      result[k] = (real * real + imaginary * imaginary).squareRoot()
    }
  }

  /// The complex transform of the workspace, by Stockham's method: each pass splits off one factor and sorts itself.
  private func transformHalf(_ workspace: inout Workspace) {
    var done = 1
    for factor in factors {
      // Sequences that are already transformed have the length `done`; `rest` of them become one.
      let rest = half / (done * factor)
      let twiddle = length / (done * factor)
      let (real, imaginary) = (workspace.real, workspace.imaginary)
      for block in 0..<rest {
        for k in 0..<(done * factor) {
          var (sumReal, sumImaginary) = (Float(0), Float(0))
          var place = k % done + done * block
          var angle = 0
          let step = k * twiddle
          for _ in 0..<factor {
            let (c, s) = (cosines[angle], sines[angle])
            sumReal += real[place] * c - imaginary[place] * s
            sumImaginary += real[place] * s + imaginary[place] * c
            place += done * rest
            angle += step
            if angle >= length { angle -= length }
          }
          workspace.otherReal[k + done * factor * block] = sumReal
          workspace.otherImaginary[k + done * factor * block] = sumImaginary
        }
      }
      swap(&workspace.real, &workspace.otherReal)
      swap(&workspace.imaginary, &workspace.otherImaginary)
      done *= factor
    }
  }
}

/// log(1 + |STFT|) of speech, normalized to mean 0 and deviation 1 over each utterance (Amodei et al. 2016).
struct Spectrogram: Sendable {
  /// Samples of a window, and of the transform.
  let window: Int
  /// Samples from one window to the next.
  let hop: Int
  private let transform: RealFourierTransform
  private let weights: [Float]

  /// Windows weighted by Hamming's.
  init(window: Int, hop: Int) {
    self.window = window
    self.hop = hop
    transform = RealFourierTransform(length: window)
    weights = (0..<window).map { Float(0.54 - 0.46 * cos(2 * .pi * Double($0) / Double(window - 1))) }
  }

  /// 20 ms windows every 10 ms.
  init(sampleRate: Int) { self.init(window: sampleRate / 50, hop: sampleRate / 100) }

  /// Frequencies of a frame.
  var binCount: Int { transform.binCount }

  /// Frames of so many samples: one around every `hop`-th.
  func frameCount(samples: Int) -> Int { 1 + samples / hop }

  /// Writes [bins, frames], of which `stride` values lie between one frequency and the next. Around the edges the
  /// signal is mirrored. Needs more samples than half a window.
  func write(_ samples: [Int16], into result: UnsafeMutableBufferPointer<Float>, stride: Int) {
    let frames = frameCount(samples: samples.count)
    precondition(samples.count > window / 2, "an utterance is longer than half a window")
    var workspace = RealFourierTransform.Workspace(transform)
    var windowed = [Float](repeating: 0, count: window)
    var magnitudes = [Float](repeating: 0, count: binCount)
    var sum = 0.0
    var squares = 0.0
    for frame in 0..<frames {
      for k in 0..<window {
        var place = frame * hop + k - window / 2
        if place < 0 { place = -place }
        if place >= samples.count { place = 2 * samples.count - 2 - place }
        windowed[k] = Float(samples[place]) / 32767 * weights[k]
      }
      windowed.withUnsafeBufferPointer { signal in
        magnitudes.withUnsafeMutableBufferPointer { transform.magnitudes(of: signal, into: $0, &workspace) }
      }
      for bin in 0..<binCount {
        let value = log1pf(magnitudes[bin])
        result[bin * stride + frame] = value
        sum += Double(value)
        squares += Double(value) * Double(value)
      }
    }
    let count = Double(frames * binCount)
    let mean = sum / count
    let variance = max((squares - count * mean * mean) / (count - 1), 0)
    // Silence has no deviation, and stays at 0.
    let factor = variance > 1e-12 ? Float(1 / variance.squareRoot()) : 1
    for bin in 0..<binCount {
      for frame in 0..<frames { result[bin * stride + frame] = (result[bin * stride + frame] - Float(mean)) * factor }
    }
  }
}
