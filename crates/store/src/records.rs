//! The records of the index: a list that grows in pieces, so that growing neither copies what is
//! there nor holds it twice.

/// So many records lie in one piece: a little more than a megabyte.
const PIECE: usize = 1 << 14;

/// Values by number.
#[derive(Debug)]
pub(crate) struct Pieces<T> {
    /// All but the last are full.
    pieces: Vec<Vec<T>>,
}

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Self { pieces: Vec::new() }
    }
}

impl<T> Pieces<T> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        let full = self.pieces.len().saturating_sub(1) * PIECE;
        full + self.pieces.last().map_or(0, Vec::len)
    }

    /// Adds one; its number is the length before.
    pub(crate) fn push(&mut self, value: T) {
        match self.pieces.last_mut() {
            Some(last) if last.len() < PIECE => last.push(value),
            _ => {
                let mut fresh = Vec::with_capacity(PIECE);
                fresh.push(value);
                self.pieces.push(fresh);
            }
        }
    }
}

impl<T> std::ops::Index<u32> for Pieces<T> {
    type Output = T;

    fn index(&self, number: u32) -> &T {
        let number = number as usize;
        &self.pieces[number / PIECE][number % PIECE]
    }
}

impl<T> std::ops::IndexMut<u32> for Pieces<T> {
    fn index_mut(&mut self, number: u32) -> &mut T {
        let number = number as usize;
        &mut self.pieces[number / PIECE][number % PIECE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_find_their_values() {
        let mut pieces = Pieces::default();
        let n = u32::try_from(2 * PIECE + 3).unwrap();
        for number in 0..n {
            assert_eq!(pieces.len(), number as usize);
            pieces.push(number);
        }
        pieces[n - 1] += 1;
        assert!((0..n - 1).all(|number| pieces[number] == number));
        assert_eq!(pieces[n - 1], n);
    }
}
