// Are sentences read, cut and judged as the formats and papers say?
import Foundation
import Testing

@testable import Workloads

struct ByteπairTests {}
