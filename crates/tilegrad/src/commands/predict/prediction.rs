//! What a network says of an image, for people and for programs.

use serde::Serialize;
use tilegrad_model::Loss;
use tilegrad_model::data::PreparedImage;

/// The classes of one image.
#[derive(Debug, Serialize)]
pub struct Prediction<'a> {
    file: String,
    class: &'a str,
    #[serde(flatten)]
    score: Score,
    inverted: bool,
    rescaled: bool,
    blank: bool,
    #[serde(flatten)]
    scores: Scores<'a>,
}

/// What a network makes of a class; the name says whether it is a probability.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Score {
    Probability(f64),
    Output(f64),
}

/// The classes that are shown, the best first.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Scores<'a> {
    Probabilities(Vec<Scored<'a>>),
    Outputs(Vec<Scored<'a>>),
}

#[derive(Debug, Serialize)]
struct Scored<'a> {
    class: &'a str,
    #[serde(flatten)]
    score: Score,
}

impl Score {
    fn of(loss: Loss, value: f64) -> Self {
        match loss {
            Loss::SoftmaxCrossEntropy => Self::Probability(value),
            Loss::MeanSquaredError => Self::Output(value),
        }
    }

    fn value(self) -> f64 {
        match self {
            Self::Probability(value) | Self::Output(value) => value,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Probability(_) => "probability",
            Self::Output(_) => "output",
        }
    }
}

impl<'a> Scores<'a> {
    fn list(&self) -> &[Scored<'a>] {
        match self {
            Self::Probabilities(list) | Self::Outputs(list) => list,
        }
    }
}

impl<'a> Prediction<'a> {
    /// The `top` best of `classes` by the network's outputs for `image`.
    pub fn new(
        file: String,
        image: &PreparedImage,
        loss: Loss,
        outputs: &[f32],
        classes: &'a [String],
        top: usize,
    ) -> Self {
        let scored = |(class, value): (&'a String, f64)| Scored { class, score: Score::of(loss, value) };
        let mut scores: Vec<Scored<'a>> = classes.iter().zip(loss.scores(outputs)).map(scored).collect();
        scores.sort_by(|a, b| b.score.value().total_cmp(&a.score.value()));
        let (class, score) = scores.first().map_or(("", Score::of(loss, 0.0)), |best| (best.class, best.score));
        scores.truncate(top);
        let scores = match loss {
            Loss::SoftmaxCrossEntropy => Scores::Probabilities(scores),
            Loss::MeanSquaredError => Scores::Outputs(scores),
        };
        let PreparedImage { inverted, rescaled, blank, .. } = *image;
        Self { file, class, score, inverted, rescaled, blank, scores }
    }

    /// The prediction in a line.
    pub fn line(&self) -> String {
        let done =
            [(self.inverted, "inverted"), (self.rescaled, "rescaled"), (self.blank, "blank: nothing stands out")];
        let done: Vec<&str> = done.iter().filter(|(was, _)| *was).map(|(_, what)| *what).collect();
        let done = if done.is_empty() { String::new() } else { format!("  ({})", done.join(", ")) };
        let others = self.scores.list().iter().skip(1);
        let others: Vec<String> = others.map(|other| format!("{} {:.4}", other.class, other.score.value())).collect();
        let others = if others.is_empty() { String::new() } else { format!("  then {}", others.join(", ")) };
        let (word, value) = (self.score.word(), self.score.value());
        format!("{}: {}  {word} {value:.4}{others}{done}", self.file, self.class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilegrad_model::data::ImageShape;

    #[test]
    fn a_prediction_is_one_line_with_the_best_first() {
        let classes = ["cat".to_owned(), "dog".to_owned(), "emu".to_owned()];
        let shape = ImageShape { height: 1, width: 1, channels: 1 };
        let image = PreparedImage { shape, bytes: vec![0], inverted: true, rescaled: false, blank: false };
        let predicted = |loss| Prediction::new("a.png".into(), &image, loss, &[0.25, 1.5, -0.125], &classes, 2);
        let outputs = predicted(Loss::MeanSquaredError);
        assert_eq!(outputs.line(), "a.png: dog  output 1.5000  then cat 0.2500  (inverted)");
        let json = serde_json::to_string(&outputs).unwrap();
        let wanted = r#"{"file":"a.png","class":"dog","output":1.5,"inverted":true,"rescaled":false,"blank":false,"#
            .to_owned()
            + r#""outputs":[{"class":"dog","output":1.5},{"class":"cat","output":0.25}]}"#;
        assert_eq!(json, wanted);
        let line = predicted(Loss::SoftmaxCrossEntropy).line();
        // exp(1.5) of exp(0.25) + exp(1.5) + exp(-0.125).
        assert_eq!(line, "a.png: dog  probability 0.6741  then cat 0.1931  (inverted)");
    }
}
