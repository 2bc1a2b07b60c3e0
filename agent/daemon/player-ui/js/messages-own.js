/* Sentences of the school's own lessons, zh-CN first. */
(function () {
  'use strict';
  window.BBT.addMessages({
    'zh-CN': {
    },
    'en': {
    }
  });
}());
