use crate::model::lightgbm::{self, Parameters, Samples};
use crate::model::rows::hash;

#[test]
fn scores_of_many_rows_are_those_of_each_row_to_the_last_bit() {
    let (rows, width) = (2_500, 4);
    let value = |at: u64| {
        let x = hash(at) % 1_000;
        if x < 100 { f32::NAN } else { x as f32 / 500.0 - 1.0 }
    };
    let columns: Vec<f32> = (0..rows * width).map(|at| value(at as u64)).collect();
    let labels: Vec<f32> = (0..rows).map(|row| f32::from(columns[row] > 0.3 || columns[rows + row] < -0.2)).collect();
    let train =
        Samples { features: &columns, width, labels: &labels, weights: &vec![1.0; rows], start: &vec![0.0; rows] };
    for leaves in [1, 6, 32, 33, 80] {
        let parameters = Parameters {
            trees: 20,
            leaves: leaves.max(2),
            learning_rate: 0.1,
            min_rows: if leaves == 1 { rows } else { 3 },
            l2: 1.0,
            column_share: 1.0,
            bins: 255,
            monotone: Vec::new(),
            columns: Vec::new(),
            seed: 1,
            patience: 20,
        };
        let trees = lightgbm::fit(train, None, &parameters).expect("both classes are there");
        let scores = trees.scores(&columns, rows);
        for (row, score) in scores.iter().enumerate() {
            let values: Vec<f32> = (0..width).map(|column| columns[column * rows + row]).collect();
            assert_eq!(score.to_bits(), trees.score(&values).to_bits(), "{leaves} leaves, row {row}");
        }
    }
}

#[test]
fn nodes_that_share_a_child_are_refused() {
    let text = |left: &str, right: &str| {
        format!(
            "tree\n\nTree=0\nnum_leaves=4\nsplit_feature=0 1 1\nthreshold=0.1 0.2 0.3\ndecision_type=8 8 8\n\
             left_child={left}\nright_child={right}\nleaf_value=1 2 3 4\n"
        )
    };
    assert!(super::Trees::parse(&text("1 2 -1", "-2 -3 -4"), 4).is_ok());
    for (left, right) in [("1 2 -1", "2 -3 -4"), ("1 -1 -1", "2 -3 -4"), ("1 2 -1", "-2 -2 -4")] {
        let error = super::Trees::parse(&text(left, right), 4).map(|_| ()).expect_err("a child of two");
        assert!(error.to_string().contains("is damaged"), "{error}");
    }
}
