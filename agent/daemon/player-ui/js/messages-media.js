/* Sentences of the viewers and the tools, zh-CN first. */
(function () {
  'use strict';
  window.BBT.addMessages({
    'zh-CN': {
    },
    'en': {
    }
  });
}());
